// Cuts a text into passages that can be read on their own: at the ends of paragraphs, else of sentences, lines, or words.

/** A passage ends between these sizes, in UTF-16 units. */
const LEAST = 600
export const MOST = 1_200

/** Ends of sentences: punctuation of many scripts, with closing quotes and brackets. */
const SENTENCE_END = /[.!?…؟।]["'”’)\]]*\s|[。！？][」』”’）]*/gu

/** The passages of a text in order, without white space around them. Together they have every word of it. */
export function* cutPassages(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = text.length - start <= MOST ? text.length : start + endIn(text.slice(start, start + MOST))
    const passage = text.slice(start, end).trim()
    if (passage !== '') yield passage
    start = end
  }
}

/** Where to end a passage that begins with this piece and may be as long as it. */
function endIn(piece: string): number {
  const paragraph = piece.lastIndexOf('\n\n')
  if (paragraph >= LEAST) return paragraph
  const tail = piece.slice(LEAST)
  let sentence = 0
  for (const { index, 0: match } of tail.matchAll(SENTENCE_END)) sentence = index + match.length
  if (sentence > 0) return LEAST + sentence
  const line = piece.lastIndexOf('\n')
  if (line >= LEAST) return line
  const word = Math.max(piece.lastIndexOf(' '), piece.lastIndexOf('\t'))
  if (word >= LEAST) return word
  // Not between the two halves of a character.
  const last = piece.charCodeAt(piece.length - 1)
  return last >= 0xd800 && last < 0xdc00 ? piece.length - 1 : piece.length
}
