// Arithmetic of the benchmark.

/** The value below which that share of the values lies, by nearest rank; null of none. */
export function percentile(values, share) {
  if (values.length === 0) return null
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]
}

/** Of what rounds measured; null where none did. */
export function median(values) {
  return percentile(
    values.filter((value) => value !== null && value !== undefined),
    0.5,
  )
}

export function ratio(value, base) {
  return value === null || value === undefined || !base ? null : value / base
}
