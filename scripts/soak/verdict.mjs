// The calculations of the soak: how fast memory rises, and whether a run passes.

export const MIB = 1024 * 1024
const MAX_RISE_PER_MINUTE = MIB
const MAX_MORE_SOCKETS = 5
/** How many minutes at the end are evaluated. In a shorter run it is the second half, because the first fills the caches. */
const JUDGED_MINUTES = 5
/** Minimum share of the planned sessions. */
const MIN_SHARE_OF_SESSIONS = 0.9

/**
 * Slope of `points`, each [x, y]: the median of the slopes between any two (Theil-Sen), which tolerates almost a third of outliers.
 * NaN for fewer than two.
 */
export function slopeOf(points) {
  const slopes = points.flatMap(([x, y], n) =>
    points.slice(n + 1).map(([laterX, laterY]) => (laterY - y) / (laterX - x)),
  )
  return medianOf(slopes)
}

/** The median. NaN for an empty list, or if any value is NaN. */
export function medianOf(values) {
  if (values.length === 0 || values.some(Number.isNaN)) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The samples to evaluate: the last five minutes, or the second half of a run under ten. */
export function judgedOf(samples) {
  const last = samples.at(-1)?.minutes ?? 0
  const from = last - Math.min(JUDGED_MINUTES, last / 2)
  return samples.filter(({ minutes }) => minutes >= from)
}

/** [minutes, bytes] of the evaluated samples after a garbage collection. `field`: resident memory by default. */
export function memoryOf(samples, field = 'rssBytes') {
  return judgedOf(samples)
    .filter(({ atRest }) => atRest)
    .map((sample) => [sample.minutes, sample[field]])
}

/** Growth of that memory, bytes per minute. */
export function riseOf(samples, field = 'rssBytes') {
  return slopeOf(memoryOf(samples, field))
}

/** Describes why a run fails; empty if it passes. `before` and `after`: samples without any load. */
export function faultsOf({ samples, before, after, wrong, errors, exit, sessions, planned }) {
  const faults = []
  const fault = (holds, message) => holds && faults.push(message)
  const rise = riseOf(samples)
  fault(!(rise <= MAX_RISE_PER_MINUTE), `memory rises by ${(rise / MIB).toFixed(2)} MiB per minute, 1 is allowed`)
  const more = after.sockets - before.sockets
  fault(!(more <= MAX_MORE_SOCKETS), `${more} sockets more than at the start, ${MAX_MORE_SOCKETS} are allowed`)
  fault(after.inFlight !== 0, `${after.inFlight} requests in flight at the end`)
  fault(wrong > 0, `${wrong} answers were wrong`)
  fault(errors > 0, `${errors} lines of level error in the log`)
  fault(exit !== 0, `cwm exited with ${exit}`)
  fault(
    sessions < planned * MIN_SHARE_OF_SESSIONS,
    `${sessions} sessions of ${planned}: this machine is too slow for the load`,
  )
  return faults
}
