// Finds the library's current parts in a changed text. These parts stay as they are, so that a change costs only the parts that it touches.

/** A stretch of the text: offsets in UTF-16 units. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** A part that is found more often is unlikely to be text. */
const MAX_PLACES = 4
/** Parts are looked up by their first characters. Shorter parts are only found beside others. */
const HEAD_LENGTH = 64
/** Maximum parts with the same beginning: more are unlikely to be text. */
const MAX_ALIKE = 16

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

/**
 * Where parts may be: at the start of a line, or where the part before ends or the part after begins. So the text is read once, however many
 * parts there are.
 */
function placesOf(text: string, parts: readonly string[]): Range[] {
  const places: Range[][] = parts.map(() => [])
  const add = (n: number, start: number): void => {
    const [part = '', found = []] = [parts[n], places[n]]
    const range = { start, end: start + part.length }
    if (part === '' || found.length === MAX_PLACES || found.some((other) => other.start === start)) return
    if (start >= 0 && text.startsWith(part, start) && endsWell(text, range, parts[n + 1])) found.push(range)
  }
  const alike = byHead(parts)
  for (let start = 0; start >= 0 && start < text.length; start = text.indexOf('\n', start) + 1 || -1) {
    for (const n of alike.get(text.slice(start, start + HEAD_LENGTH)) ?? []) add(n, start)
  }
  for (let n = 1; n < parts.length; n++) for (const { end } of places[n - 1] ?? []) add(n, end)
  for (let n = parts.length - 2; n >= 0; n--) {
    for (const { start } of places[n + 1] ?? []) add(n, start - (parts[n] ?? '').length)
  }
  return places.flat()
}

function byHead(parts: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const alike = new Map<string, number[]>()
  for (const [n, part] of parts.entries()) {
    if (part.length < HEAD_LENGTH) continue
    const head = part.slice(0, HEAD_LENGTH)
    const others = alike.get(head)
    if (others === undefined) alike.set(head, [n])
    else if (others.length < MAX_ALIKE) others.push(n)
  }
  return alike
}

/** Whether nothing was added to the last word. */
function endsWell(text: string, { end }: Range, next: string | undefined): boolean {
  if (end === text.length || /\s/.test(text[end - 1] ?? '') || /\s/.test(text[end] ?? '')) return true
  return next !== undefined && text.startsWith(next.slice(0, HEAD_LENGTH), end)
}

/** The ranges that do not overlap and have the greatest total length. */
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
