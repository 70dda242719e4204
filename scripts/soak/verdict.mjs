// The arithmetic of the soak: how fast memory rises, and whether a run is good. Numbers in, words out.

export const MIB = 1024 * 1024
const MAX_RISE_PER_MINUTE = MIB
const MAX_MORE_SOCKETS = 5
/** Minutes at the end that are judged; of a shorter run its second half, for the first fills the caches. */
const JUDGED_MINUTES = 5
/** Of the sessions that were to begin. */
const MIN_SHARE_OF_SESSIONS = 0.9

/** Slope of the line through `points`, each [x, y], that has the least squares of distances in y. NaN for fewer than two. */
export function slopeOf(points) {
  const n = points.length
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n
  const products = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const squares = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return products / squares
}

/** The samples that the verdict is about: the last five minutes, or the second half of a run under ten. */
export function judgedOf(samples) {
  const last = samples.at(-1)?.minutes ?? 0
  const from = last - Math.min(JUDGED_MINUTES, last / 2)
  return samples.filter(({ minutes }) => minutes >= from)
}

/**
 * [minutes, bytes]: the least resident memory of each half minute of the judged part, of the samples after a collection. What is under way at
 * such a moment only adds to it; a leak raises the least as well.
 */
export function memoryOf(samples) {
  const least = new Map()
  for (const { minutes, rssBytes, atRest } of judgedOf(samples)) {
    const half = Math.floor(minutes * 2)
    if (atRest && !(least.get(half)?.[1] <= rssBytes)) least.set(half, [minutes, rssBytes])
  }
  return [...least.values()]
}

/** Bytes a minute by which that memory rises. */
export function riseOf(samples) {
  return slopeOf(memoryOf(samples))
}

/** What speaks against a run, in words; empty when nothing does. `before` and `after`: samples without any load. */
export function faultsOf({ samples, before, after, wrong, errors, exit, sessions, planned }) {
  const faults = []
  const fault = (holds, words) => holds && faults.push(words)
  const rise = riseOf(samples)
  fault(!(rise <= MAX_RISE_PER_MINUTE), `memory rises by ${(rise / MIB).toFixed(2)} MiB a minute, 1 is allowed`)
  const more = after.sockets - before.sockets
  fault(!(more <= MAX_MORE_SOCKETS), `${more} sockets more than at the start, ${MAX_MORE_SOCKETS} are allowed`)
  fault(after.inFlight !== 0, `${after.inFlight} requests in flight at the end`)
  fault(wrong > 0, `${wrong} answers were wrong`)
  fault(errors > 0, `${errors} lines of level error in the log`)
  fault(exit !== 0, `cwm ended with ${exit}`)
  fault(
    sessions < planned * MIN_SHARE_OF_SESSIONS,
    `${sessions} sessions of ${planned}: this machine is too slow for the load`,
  )
  return faults
}
