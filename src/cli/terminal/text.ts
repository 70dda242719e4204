// Formats numbers, times, and text for a terminal. Text from elsewhere is sanitized first.

import stringWidth from 'string-width'

/** Replaces characters that a terminal would interpret instead of showing. A model's answer or a note may contain anything. */
export function stripControlCharacters(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}

/** Puts text on one line. */
export function toSingleLine(text: string): string {
  return stripControlCharacters(text.replaceAll(/\s+/g, ' '))
}

/** Width on a terminal, in columns. */
export function widthOf(text: string): number {
  return stringWidth(text)
}

/** Truncates text to `width` columns, with an ellipsis at the end. */
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

/** Wraps a line between words, to lines of at most `width` columns; at least 20. A longer word gets its own line, which the terminal wraps. */
export function wrap(line: string, width: number): string[] {
  const most = Math.max(20, width)
  const lines: string[] = []
  let current = ''
  for (const word of line.split(' ')) {
    const longer = current === '' ? word : `${current} ${word}`
    if (current !== '' && widthOf(longer) > most) {
      lines.push(current)
      current = word
    } else current = longer
  }
  return [...lines, current]
}

/** A number with thousands separators. */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US')
}

export function pluralize(value: number, one: string, many = `${one}s`): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`
}

/** `340 ms`, `4.2 s`, `3 min 10 s`. */
export function formatDuration(ms: number): string {
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
export function formatAge(time: string | undefined, now: number): string {
  if (time === undefined) return ''
  let value = Math.max(0, (now - Date.parse(time)) / 1_000)
  for (const [size, unit] of steps) {
    if (value < size) return `${Math.floor(value)} ${unit}`
    value /= size
  }
  return ''
}

/** A percentage, rounded down so that 100% means all. */
export function formatPercent(part: number, whole: number): string {
  return whole === 0 ? '0%' : `${Math.floor((100 * part) / whole)}%`
}
