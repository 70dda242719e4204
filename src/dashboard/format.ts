// Formats numbers, times, and states.

const thousands = new Intl.NumberFormat('en-US')

export const formatNumber = (value: number): string => thousands.format(value)

export const pluralize = (value: number, one: string): string =>
  `${formatNumber(value)} ${one}${value === 1 ? '' : 's'}`

/** For example 83% for `0.834`. */
export const formatPercent = (share: number): string => `${Math.round(share * 100)}%`

const steps: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
]

const byteUnits = ['KiB', 'MiB', 'GiB', 'TiB']

export function formatBytes(value: number): string {
  if (value < 1_024) return `${value} B`
  const step = Math.min(byteUnits.length, Math.floor(Math.log2(value) / 10))
  return `${(value / 1_024 ** step).toFixed(1)} ${byteUnits[step - 1]}`
}

/** How long ago, in the largest unit that fits. */
export function formatAge(iso: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1_000)
  for (const [size, unit] of steps) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`
  return 'just now'
}

export function formatDuration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

/** Describes each durability. */
export const durabilities = {
  l2: 'behind memory: survives a restart',
  l1: 'in LMCache’s memory only',
  unverified: 'computed, but storage not verified',
  text: 'text only: a thaw recomputes it',
} as const
