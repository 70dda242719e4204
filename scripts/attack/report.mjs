// The figures of a run, as text.

import { allowedStallMs } from './stalls.mjs'

const MIB = 1024 * 1024
const ms = (value) => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
const counts = (map) =>
  [...map]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([name, count]) => `${name} ${count}`)
    .join(' · ')
const spread = (sorted) =>
  `median ${ms(at(sorted, 0.5))}, 99 of 100 within ${ms(at(sorted, 0.99))}, at most ${ms(sorted.at(-1) ?? Number.NaN)} (${sorted.length} turns)`

function stallWords({ stallMs, cpuMs, bytes }) {
  return `${ms(stallMs)}, ${ms(cpuMs)} of them on the CPU, beside a body of ${(bytes / MIB).toFixed(1)} MiB, ${ms(allowedStallMs(bytes))} are allowed`
}

/** Lines about one run. */
export function linesOf(result) {
  const { mode, listed, sent, unanswered, seconds, statuses, stalls, quiet, attacked, turns, recorded, findings } =
    result
  return [
    `${mode}`,
    `  attacks   ${listed} listed, ${sent} generated in ${seconds.toFixed(0)} s; ${unanswered} closed without an answer, as they may be`,
    `  answers   ${counts(statuses)}`,
    `  counted   ${counts(result.counted)}  (cwm_requests_total)`,
    `  salts     ${recorded.salts} of ${recorded.salted} forwarded requests; ${recorded.faultCount} faults at the engine`,
    `  errors    ${result.errors} in the log, ${result.warnings} warnings`,
    `  honest    ${turns} turns; quiet: ${spread(quiet)}`,
    `            under attack: ${spread(attacked)}`,
    `  stall     longest: ${stallWords(stalls.longest)}`,
    `            nearest to its bound: ${stallWords(stalls.nearest)}; ${stalls.over} over it`,
    `  findings  ${findings.count}`,
    ...findings.shown.map((words) => `    - ${words}`),
  ]
}
