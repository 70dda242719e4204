// The verdict on one attack: each cell of the table is a text and whether it is as it must be.

import { leakFaults } from '../accounting.mjs'

const MIB = 1024 * 1024
const P99_FACTOR = 10
const P99_MORE_MS = 200
const MOST_MEMORY = 512 * MIB
/** How much slower than before the median may be after the attack. */
const AFTER_FACTOR = 2
const AFTER_MORE_MS = 20

/** A quantile of sorted numbers. */
export function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.POSITIVE_INFINITY
}

const ms = (value) => (Number.isFinite(value) ? `${Math.round(value)} ms` : 'no turn')
const cell = (isGood, text) => ({ isGood, text })

/**
 * `observed`: `{ attack, quiet, attacked, after, check, memory, most, metrics: { before, after }, isAlive }`. `quiet`, `attacked` and `after`
 * are the honest tenant's `{ latencies, requests, failures, failureCount }`, in that order; `most`: warm calls of the attacker at once.
 */
export function judge(observed) {
  const { quiet, attacked } = observed
  const p50 = quantile(quiet.latencies, 0.5)
  const p99 = quantile(attacked.latencies, 0.99)
  const limit = P99_FACTOR * p50 + P99_MORE_MS
  return {
    quiet: cell(quiet.latencies.length > 0, ms(p50)),
    p99: cell(p99 < limit, `${ms(p99)} of ${ms(limit)}`),
    failed: cell(attacked.failureCount === 0, `${attacked.failureCount} of ${attacked.requests}`),
    kept: keptCell(observed),
    engine: engineCell(observed),
    memory: memoryCell(observed),
    after: afterCell(observed, p50),
  }
}

function keptCell({ check }) {
  return cell(check.lost.length === 0, check.lost.length === 0 ? 'all' : `lost: ${check.lost.join(', ')}`)
}

function engineCell({ attack, most }) {
  if (attack.mostAtOnce === undefined) return cell(true, '–')
  return cell(most <= attack.mostAtOnce, `${most} at once of ${attack.mostAtOnce}`)
}

function memoryCell({ memory, isAlive }) {
  if (!isAlive) return cell(false, 'cwm ended')
  return cell(memory.peakBytes < MOST_MEMORY, `${Math.round(memory.peakBytes / MIB)} MiB`)
}

/** Five seconds after: nothing is held, no request fails, and turns are as fast as before. */
function afterCell({ after, check, metrics, isAlive }, quietP50) {
  if (!isAlive) return cell(false, 'cwm ended')
  const faults = leakFaults(metrics)
  const p50 = quantile(after.latencies, 0.5)
  if (p50 > AFTER_FACTOR * quietP50 + AFTER_MORE_MS) faults.push(`median ${ms(p50)}`)
  const failures = after.failureCount + check.failureCount
  if (failures > 0) faults.push(`${failures} failed`)
  return cell(faults.length === 0, faults.length === 0 ? 'as before' : faults.join(', '))
}

/** Whether all cells are as they must be. */
export const isGood = (cells) => Object.values(cells).every((one) => one.isGood)
