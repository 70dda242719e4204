// Words for people: numbers, times and texts as a terminal shows them. Whatever came from elsewhere is made harmless first.

import stringWidth from 'string-width'

/** Without what a terminal would obey instead of show. A model's answer or a note may hold anything. */
export function stripControlCharacters(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}

/** On one line. */
export function inline(text: string): string {
  return stripControlCharacters(text.replaceAll(/\s+/g, ' '))
}

/** Columns that it takes on a terminal. */
export function widthOf(text: string): number {
  return stringWidth(text)
}

/** At most `width` columns, the last one an ellipsis where something is left out. */
export function truncate(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let taken = ''
  let used = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const more = widthOf(segment)
    if (used + more > width - 1) break
    taken += segment
    used += more
  }
  return `${taken}…`
}

/** With a comma between thousands. */
export function count(value: number): string {
  return value.toLocaleString('en-US')
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** `340 ms`, `4.2 s`, `3 min 10 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`
}

const steps = [
  [60, 's'],
  [60, 'min'],
  [24, 'h'],
  [Number.POSITIVE_INFINITY, 'd'],
] as const

/** How long ago: `12 s`, `3 min`, `7 h`, `40 d`. */
export function age(time: string | undefined, now: number): string {
  if (time === undefined) return ''
  let value = Math.max(0, (now - Date.parse(time)) / 1_000)
  for (const [size, unit] of steps) {
    if (value < size) return `${Math.floor(value)} ${unit}`
    value /= size
  }
  return ''
}

/** Part of the whole in percent, rounded down: 100% is all of it. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? '0%' : `${Math.floor((100 * part) / whole)}%`
}
