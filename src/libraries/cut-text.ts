// Cuts a text into parts of a size. Parts of the library so far stay where their text is unchanged; what lies between them is cut at the
// places that cost least. The parts joined are the text.

import { keptRanges, type Range } from './kept-parts.ts'
import { type Piece, type PieceRules, piecesOf } from './pieces.ts'

/** More pieces than a part of prose has. */
const MAX_PIECES = 1_024

/** `kept`: the texts of the library's parts so far, in their order. Each part is estimated at no more than `rules.maxSize`. */
export function cutText(text: string, rules: PieceRules, kept: readonly string[] = []): string[] {
  const ranges: Range[] = []
  let end = 0
  for (const range of keptRanges(text, kept)) {
    if (range.start > end) ranges.push(...cutRange(text, end, range.start, rules))
    ranges.push(range)
    end = range.end
  }
  if (end < text.length) ranges.push(...cutRange(text, end, text.length, rules))
  return ranges.map(({ start, end }) => text.slice(start, end))
}

/**
 * The cheapest parts: each costs 1, and the penalty of the cut before it. So parts end at headings, unless that makes many more of them.
 */
function cutRange(text: string, from: number, to: number, rules: PieceRules): Range[] {
  const pieces = piecesOf(text, from, to, rules)
  /** By number of pieces: the cost of the parts, and the piece with which the last of them begins. */
  const costs = new Float64Array(pieces.length + 1)
  const begins = new Int32Array(pieces.length + 1)
  for (let end = 1; end <= pieces.length; end++) {
    costs[end] = Number.POSITIVE_INFINITY
    let size = 0
    for (let begin = end - 1; begin >= Math.max(0, end - MAX_PIECES); begin--) {
      const piece = pieces[begin] as Piece
      size += piece.size
      // A single piece may be too large: a character that takes many tokens.
      if (size > rules.maxSize && begin < end - 1) break
      const cost = (costs[begin] as number) + 1 + piece.penalty
      if (cost >= (costs[end] as number)) continue
      costs[end] = cost
      begins[end] = begin
    }
  }
  const ranges: Range[] = []
  for (let end = pieces.length; end > 0; end = begins[end] as number) {
    const [first, last] = [pieces[begins[end] as number] as Piece, pieces[end - 1] as Piece]
    ranges.push({ start: first.start, end: last.end })
  }
  return ranges.reverse()
}
