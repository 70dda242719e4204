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
