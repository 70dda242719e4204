// Estimates a text's tokens for current tokenizers with large vocabularies (cl100k, Llama 3, Qwen), erring slightly high. It uses character
// classes only, so the result is the same on every proxy and after every restart. The engine's own tokenizer is accounted for by factors
// (engines/token-scale.ts). This is not a bound: see upper-bound.ts.

/** Costs are counted in eighths of a token: integers, which add up the same everywhere. */
const TOKEN = 8
/** Lower-case letters covered by a word's first token, and the cost of each further one. */
const WORD_START = 5
const SMALL_LETTER = 3
const CAPITAL_LETTER = 4
/** Punctuation, or a line break, after punctuation: code and JSON combine them, and so do vocabularies. */
const MORE_PUNCTUATION = 4
/** White space of one kind in one token. */
const INDENT = 16
const LINE_BREAKS = 8

/** Cost of a UTF-16 unit beyond ASCII, up to the end of its range of scripts. */
const RANGES: readonly (readonly [end: number, cost: number])[] = [
  [0x0370, 12], // Latin with marks
  [0x0400, 9], // Greek
  [0x0530, 6], // Cyrillic
  [0x0590, 16], // Armenian
  [0x0600, 10], // Hebrew
  [0x0700, 8], // Arabic
  [0x1000, 12], // of India and south-east Asia
  [0x1e00, 24], // with few tokens of their own: Georgian, Ethiopic, Khmer, …
  [0x2000, 10], // Latin with more marks
  [0x3000, 12], // punctuation and symbols
  [0xa000, 10], // Chinese and Japanese
  [0xac00, 24],
  [0xd7b0, 12], // Korean
  [0xe000, 14], // halves of emoji and of all that is rarer
  [0x10000, 14],
]
/** By the upper twelve bits of a unit: no range starts within such a block. */
const COSTS = Uint8Array.from({ length: 0x1000 }, (_, block) => RANGES.find(([end]) => block * 16 < end)?.[1] ?? TOKEN)

/** Tokens of an engine's tokenizer per estimated token: for ASCII, and for everything else. */
export interface TokenScale {
  readonly ascii: number
  readonly beyond: number
}

export const UNSCALED: TokenScale = { ascii: 1, beyond: 1 }

/** Kinds of units, as numbers for table lookup. */
const SMALL = 0
const CAPITAL = 1
const SPACE = 2
const BREAK = 3
const PUNCTUATION = 4
const OTHER = 5
const KINDS = Uint8Array.from({ length: 0x80 }, (_, unit) => kindOf(String.fromCharCode(unit)))

/** Tokens, rounded up; a pure function of the text, in one pass. */
export function typicalTokens(text: string, scale = UNSCALED): number {
  let ascii = 0
  let beyond = 0
  let before = OTHER
  /** Units since the start of the word or the white space. */
  let run = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit >= 0x80) {
      beyond += COSTS[unit >> 4] as number
      before = OTHER
      continue
    }
    const kind = KINDS[unit] as number
    // A capital after a small letter starts a word, as in camelCase, and so does a small letter after several capitals.
    const continues = kind === before || (kind === SMALL && before === CAPITAL && run === 1)
    run = continues ? run + 1 : 1
    ascii += costOf(kind, before, run)
    before = kind
  }
  return Math.ceil((ascii * scale.ascii + beyond * scale.beyond) / TOKEN)
}

function costOf(kind: number, before: number, run: number): number {
  switch (kind) {
    case SMALL:
      return run === 1 ? TOKEN : run > WORD_START ? SMALL_LETTER : 0
    case CAPITAL:
      return run === 1 ? TOKEN : CAPITAL_LETTER
    case SPACE:
      // A single space belongs to the following word.
      return run % INDENT === 2 ? TOKEN : 0
    case BREAK:
      return before === PUNCTUATION ? MORE_PUNCTUATION : run % LINE_BREAKS === 1 ? TOKEN : 0
    case PUNCTUATION:
      return before === PUNCTUATION ? MORE_PUNCTUATION : TOKEN
    default:
      return TOKEN
  }
}

function kindOf(character: string): number {
  if (/[a-z]/.test(character)) return SMALL
  if (/[A-Z]/.test(character)) return CAPITAL
  if (character === ' ') return SPACE
  if (character < ' ') return BREAK
  return /[0-9]/.test(character) ? OTHER : PUNCTUATION
}
