// Which parts of the library so far are still in a changed text. They stay as they are, so that a change costs only the parts that it touches.

/** A stretch of the text: offsets in UTF-16 units. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** A part that is found more often is hardly text. */
const MAX_PLACES = 4
/** A part of at least as many characters is recognized anywhere; a shorter one only at the start of a line. */
const CERTAIN_LENGTH = 200
/** Characters of the next part that show that a part ended within a word before, too. */
const NEXT_LENGTH = 64

/** The places of `parts`, in the order of the text. They do not overlap, and cover as much of it as possible. */
export function keptRanges(text: string, parts: readonly string[]): Range[] {
  return inOrder(text, parts) ?? heaviest(placesOf(text, parts))
}

/** The ranges of all parts if they are the whole text. */
function inOrder(text: string, parts: readonly string[]): Range[] | undefined {
  const ranges: Range[] = []
  let end = 0
  for (const part of parts) {
    const start = end
    if (!text.startsWith(part, start)) return undefined
    end = start + part.length
    ranges.push({ start, end })
  }
  return end === text.length ? ranges : undefined
}

function placesOf(text: string, parts: readonly string[]): Range[] {
  const places: Range[] = []
  const seen = new Set<string>()
  for (const [n, part] of parts.entries()) {
    if (part === '' || seen.has(part)) continue
    seen.add(part)
    let at = text.indexOf(part)
    for (let found = 0; at >= 0 && found < MAX_PLACES; found++) {
      const range = { start: at, end: at + part.length }
      if (startsWell(text, range) && endsWell(text, range, parts[n + 1])) places.push(range)
      at = text.indexOf(part, at + 1)
    }
  }
  return places
}

function startsWell(text: string, { start, end }: Range): boolean {
  return start === 0 || text[start - 1] === '\n' || end - start >= CERTAIN_LENGTH
}

/** Whether nothing was added to the last word. */
function endsWell(text: string, { end }: Range, next: string | undefined): boolean {
  if (end === text.length || /\s/.test(text[end - 1] ?? '') || /\s/.test(text[end] ?? '')) return true
  return next !== undefined && text.startsWith(next.slice(0, NEXT_LENGTH), end)
}

/** Those of the ranges that do not overlap and are longest together. */
function heaviest(places: readonly Range[]): Range[] {
  const sorted = [...places].sort((a, b) => a.end - b.end || a.start - b.start)
  /** By number of ranges considered: the longest total, and the last range in it. */
  const totals: number[] = [0]
  const takes: boolean[] = [false]
  const before = sorted.map(({ start }, n) => countEndedBy(sorted, start, n))
  for (const [n, { start, end }] of sorted.entries()) {
    const taken = (totals[before[n] ?? 0] ?? 0) + end - start
    const left = totals[n] ?? 0
    takes.push(taken > left)
    totals.push(Math.max(taken, left))
  }
  const chosen: Range[] = []
  for (let n = sorted.length; n > 0; ) {
    const range = sorted[n - 1]
    if (takes[n] === true && range !== undefined) {
      chosen.push(range)
      n = before[n - 1] ?? 0
    } else n--
  }
  return chosen.reverse()
}

/** How many of the first `most` ranges, which are sorted by their end, end at or before `at`. */
function countEndedBy(sorted: readonly Range[], at: number, most: number): number {
  let [low, high] = [0, most]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle]?.end ?? 0) <= at) low = middle + 1
    else high = middle
  }
  return low
}
