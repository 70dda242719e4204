// Prepares a text for the index, and turns a question into a search: all its words, joined by OR, so that BM25 weighs them.

/** Scripts that are written without spaces, or whose words carry endings that no tokenizer removes. */
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}ー]+/gu
const WORD = /[\p{L}\p{N}\p{M}]+/gu
/**
 * English words that most questions have and that say nothing about their subject. BM25 would give some of them weight, because documents ask
 * few questions.
 */
const EMPTY_WORDS = new Set(
  (
    'i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its itself they them ' +
    'their theirs themselves what which who whom whose this that these those am is are was were be been being have has had having do does did ' +
    'doing would should could ought can shall will may might must a an the and but if or because as until while of at by for with about against ' +
    'between into through during before after above below to from up down in out on off over under again further then once here there when ' +
    'where why how all any both each few more most other some such no nor not only own same so than too very'
  ).split(' '),
)
/** Of a long question, so many different words of its beginning and of its end count: that is where the question is. */
const WORDS_AT_EACH_END = 64

/**
 * The text as it is indexed. Runs of scripts without spaces become pairs of characters (`東京都` becomes `東京 京都`), as SQLite's tokenizer
 * would take a whole sentence for one word.
 */
export function indexedWords(text: string): string {
  return text.normalize('NFKC').replaceAll(UNSPACED, (run) => ` ${pairsOf(run)} `)
}

/** The FTS5 expression that finds texts with any word of this one that says something; undefined if it has no words at all. */
export function searchFor(text: string): string | undefined {
  const all = [...new Set(indexedWords(text).toLowerCase().match(WORD))]
  const full = all.filter((word) => !EMPTY_WORDS.has(word))
  const words = full.length > 0 ? full : all
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
