// Statistics: percentiles within a cell, medians and ratios over the rounds.

/** Nearest-rank percentile of values in ascending order; undefined for an empty list. */
export function percentile(sorted, share) {
  return sorted.length === 0 ? undefined : sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** The median of the defined values; undefined if there is none. */
export function median(values) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * The ratio of each round, in which slowness of the whole round cancels out. `values` and `base` are lists by round; rounds that lack one
 * of them are skipped.
 */
export function ratiosOf(values, base) {
  return values
    .map((value, n) => (value === undefined || !base?.[n] ? undefined : value / base[n]))
    .filter((ratio) => ratio !== undefined)
}
