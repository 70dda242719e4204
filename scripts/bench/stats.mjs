// The arithmetic of the figures: percentiles within a cell, medians and ratios over the rounds.

/** The smallest value that at least `share` of all are not above; `sorted` ascending. Undefined of none. */
export function percentile(sorted, share) {
  return sorted.length === 0 ? undefined : sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** Of what was measured: undefined is left out. Undefined of none. */
export function median(values) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b)
  if (sorted.length === 0) return undefined
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The rounds' own ratios: what slows a whole round down is in both numbers. Lists by round; a round that has one side only is left out. */
export function ratiosOf(values, base) {
  return values
    .map((value, n) => (value === undefined || !base?.[n] ? undefined : value / base[n]))
    .filter((ratio) => ratio !== undefined)
}
