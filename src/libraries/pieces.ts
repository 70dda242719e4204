// The places where a text may be cut, and how much each of them costs: before headings, then between paragraphs, and only within a paragraph
// that is larger than a part between lines, sentences, words and characters.

export type TextFormat = 'markdown' | 'plain'

/** A stretch of the text that is never cut. The pieces of a text follow each other without a gap. */
export interface Piece {
  readonly start: number
  readonly end: number
  /** Estimated tokens. */
  readonly size: number
  /** The cost of a cut before it, from 0 to `MAX_PENALTY`. */
  readonly penalty: number
}

export interface PieceRules {
  readonly format: TextFormat
  /** Estimated tokens above which a paragraph is divided. */
  readonly maxSize: number
  /** Estimated tokens of a text. */
  readonly sizeOf: (text: string) => number
}

/**
 * Below a third: three parts without any penalty then never cost more than two parts with all of it, so that a text that fits two parts is
 * cut into at most three.
 */
export const MAX_PENALTY = 0.3
const PARAGRAPH = 0.15
/** A cut between a heading and its text. */
const AFTER_HEADING = 0.28
const WITHIN_PARAGRAPH = [0.2, 0.25, 0.28, MAX_PENALTY]
const PER_HEADING_LEVEL = 0.02

/** Lines and words of a large paragraph are combined into pieces of this share of a part, so that their number stays small. */
const SMALLEST_SHARE = 1 / 32

const HEADING = /^ {0,3}(#{1,6})(?:\s|$)/
const LINE = /[^\n]*\n|[^\n]+$/g
const SENTENCE = /[^.!?…。！？]*[.!?…。！？]+["'”’)\]]*\s*|[^.!?…。！？]+$/g
const WORD = /\s*\S+\s*$|\s*\S+|\s+$/g
/** Surrogate pairs stay whole. */
const CHARACTERS = /.{1,64}/gsu
const WITHIN = [LINE, SENTENCE, WORD, CHARACTERS]

interface Block {
  readonly start: number
  readonly penalty: number
}

/** The pieces of `text` from `from` to `to`, which are offsets in UTF-16 units. */
export function piecesOf(text: string, from: number, to: number, rules: PieceRules): Piece[] {
  const blocks = blocksOf(text.slice(from, to), rules.format)
  const pieces: Piece[] = []
  for (const [n, { start, penalty }] of blocks.entries()) {
    const end = blocks[n + 1]?.start ?? to - from
    divide(text, { start: from + start, end: from + end, penalty }, 0, rules, pieces)
  }
  return pieces
}

/** Headings and paragraphs. Blank lines belong to the block before them. */
function blocksOf(text: string, format: TextFormat): Block[] {
  const blocks: Block[] = [{ start: 0, penalty: 0 }]
  let before: 'start' | 'text' | 'blank' | 'heading' = 'start'
  let isUnderHeading = false
  for (const { index: start, 0: line } of text.matchAll(LINE)) {
    if (line.trim() === '') {
      if (before !== 'start') before = 'blank'
      continue
    }
    const level = format === 'markdown' ? HEADING.exec(line)?.[1]?.length : undefined
    const penalty = penaltyOf(level, before, isUnderHeading)
    if (penalty !== undefined) blocks.push({ start, penalty })
    isUnderHeading = level !== undefined
    before = isUnderHeading ? 'heading' : 'text'
  }
  return blocks
}

/** Undefined: no block begins here. `level`: of a heading. */
function penaltyOf(level: number | undefined, before: string, isUnderHeading: boolean): number | undefined {
  if (before === 'start') return undefined
  if (isUnderHeading) return AFTER_HEADING
  if (level !== undefined) return level * PER_HEADING_LEVEL
  return before === 'blank' ? PARAGRAPH : undefined
}

/** Adds a stretch as one piece, or as several if it is larger than a part. `depth`: how it is divided next. */
function divide(
  text: string,
  { start, end, penalty }: Block & { readonly end: number },
  depth: number,
  rules: PieceRules,
  pieces: Piece[],
): void {
  const part = text.slice(start, end)
  const size = rules.sizeOf(part)
  const within = WITHIN[depth]
  if (size <= rules.maxSize || within === undefined) {
    pieces.push({ start, end, size, penalty })
    return
  }
  for (const [n, one] of combined(part, within, rules).entries()) {
    const inner = n === 0 ? penalty : (WITHIN_PARAGRAPH[depth] ?? MAX_PENALTY)
    divide(text, { start: start + one.start, end: start + one.end, penalty: inner }, depth + 1, rules, pieces)
  }
}

/** What the pattern finds, with small neighbors combined. */
function combined(text: string, pattern: RegExp, { maxSize, sizeOf }: PieceRules) {
  const least = Math.max(1, maxSize * SMALLEST_SHARE)
  const found: { start: number; end: number; size: number }[] = []
  for (const { index: start, 0: match } of text.matchAll(pattern)) {
    const last = found.at(-1)
    const size = sizeOf(match)
    if (last === undefined || last.size >= least || last.size + size > maxSize) {
      found.push({ start, end: start + match.length, size })
    } else {
      last.end = start + match.length
      last.size += size
    }
  }
  return found
}
