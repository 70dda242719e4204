// Cuts a text where it has seams: at the ends of paragraphs, else of sentences, lines, or words.

/** Sizes of a part, in UTF-16 units. */
interface Bounds {
  readonly least: number
  readonly most: number
}

/** What is quoted: enough to be read on its own. */
const PASSAGE: Bounds = { least: 600, most: 1_200 }
/** What is searched: a few sentences, as words that stand close together say more than words that are far apart. */
const PIECE: Bounds = { least: 80, most: 200 }
/** A passage has at most so many pieces. */
export const MAX_PIECES = 16

/** Ends of sentences: punctuation of many scripts, with closing quotes and brackets. */
const SENTENCE_END = /[.!?…؟।]["'”’)\]]*\s|[。！？][」』”’）]*/gu

/** The passages of a text in order, without white space around them. Together they have every word of it. */
export function* cutPassages(text: string): Generator<string> {
  for (const part of cut(text, PASSAGE)) {
    const passage = part.trim()
    if (passage !== '') yield passage
  }
}

/** The pieces of a passage. Joined, they are the passage. */
export function piecesOf(passage: string): readonly string[] {
  return [...cut(passage, PIECE)]
}

function* cut(text: string, bounds: Bounds): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const isLast = text.length - start <= bounds.most
    const end = isLast ? text.length : start + endIn(text.slice(start, start + bounds.most), bounds)
    yield text.slice(start, end)
    start = end
  }
}

/** Where to end a part that begins with this text and may be as long as it. */
function endIn(text: string, { least }: Bounds): number {
  const paragraph = text.lastIndexOf('\n\n')
  if (paragraph >= least) return paragraph
  let sentence = 0
  for (const { index, 0: match } of text.slice(least).matchAll(SENTENCE_END)) sentence = index + match.length
  if (sentence > 0) return least + sentence
  const line = text.lastIndexOf('\n')
  if (line >= least) return line
  const word = Math.max(text.lastIndexOf(' '), text.lastIndexOf('\t'))
  if (word >= least) return word
  // Not between the two halves of a character.
  const last = text.charCodeAt(text.length - 1)
  return last >= 0xd800 && last < 0xdc00 ? text.length - 1 : text.length
}
