// What is indexed of a text, and how a question becomes a search: all its words, joined by OR, so that BM25 decides which of them count.

/** Scripts that are written without spaces, or whose words carry endings that no tokenizer removes. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー]+/gu
const WORD = /[\p{L}\p{N}\p{M}]+/gu
/** Of a long question, so many different words of its beginning and of its end count: that is where the question is. */
const WORDS_AT_EACH_END = 64

/**
 * The text as it is indexed. Runs of scripts without spaces become pairs of characters (`東京都` becomes `東京 京都`), as SQLite's tokenizer
 * would take a whole sentence for one word.
 */
export function indexedWords(text: string): string {
  return text.normalize('NFKC').replaceAll(UNSPACED, (run) => ` ${pairsOf(run)} `)
}

/** The FTS5 expression that finds texts with any word of this one; undefined if it has no words. */
export function searchFor(text: string): string | undefined {
  const words = [...new Set(indexedWords(text).toLowerCase().match(WORD))]
  if (words.length === 0) return undefined
  const used =
    words.length <= 2 * WORDS_AT_EACH_END
      ? words
      : [...words.slice(0, WORDS_AT_EACH_END), ...words.slice(-WORDS_AT_EACH_END)]
  // Quoted, a word is never an operator of FTS5 or the name of a column.
  return used.map((word) => `"${word}"`).join(' OR ')
}

function pairsOf(run: string): string {
  // Vowel signs and tone marks separate words for SQLite.
  const characters = [...run.replaceAll(/\p{M}/gu, '')]
  if (characters.length < 2) return characters.join('')
  return characters
    .slice(1)
    .map((character, i) => `${characters[i]}${character}`)
    .join(' ')
}
