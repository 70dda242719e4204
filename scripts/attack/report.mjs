// Formats the figures of a run.

import { allowedStallMs } from './stalls.mjs'

const MIB = 1024 * 1024
const ms = (value) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
const counts = (map) =>
  [...map]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([name, count]) => `${name} ${count}`)
    .join(' · ')
const formatLatencies = (sorted) =>
  `median ${ms(at(sorted, 0.5))}, 99 of 100 within ${ms(at(sorted, 0.99))}, at most ${ms(sorted.at(-1) ?? Number.NaN)} (${sorted.length} turns)`

function formatStall({ stallMs, cpuMs, bytes }) {
  return `${ms(stallMs)}, ${ms(cpuMs)} of it on the CPU, with a body of ${(bytes / MIB).toFixed(1)} MiB; allowed: ${ms(allowedStallMs(bytes))}`
}

/** Lines about one run. */
export function linesOf(result) {
  const { mode, listed, sent, unanswered, seconds, statuses, stalls, quiet, attacked, turns, recorded, findings } =
    result
  return [
    `${mode}`,
    `  attacks   ${listed} listed, ${sent} generated in ${seconds.toFixed(0)} s; ${unanswered} closed without a response, as allowed`,
    `  answers   ${counts(statuses)}`,
    `  counted   ${counts(result.counted)}  (cwm_requests_total)`,
    `  salts     ${recorded.salts} of ${recorded.salted} forwarded requests; ${recorded.faultCount} faults at the engine`,
    `  errors    ${result.errors} in the log, ${result.warnings} warnings`,
    `  honest    ${turns} turns; quiet: ${formatLatencies(quiet)}`,
    `            under attack: ${formatLatencies(attacked)}`,
    `  stall     longest: ${formatStall(stalls.longest)}`,
    `            closest to its limit: ${formatStall(stalls.nearest)}; ${stalls.over} over the limit`,
    `  findings  ${findings.count}`,
    ...findings.shown.map((words) => `    - ${words}`),
  ]
}
