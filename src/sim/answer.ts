// The model's answer: the sentence of its context that fits the question best, which shows what the context contained. The same context
// yields the same answer at any temperature.

export interface Utterance {
  readonly role: string
  readonly text: string
}

const QUOTE = 'From what you told me: '
const NOTED = 'Noted.'
const NOTHING = 'Nothing in this context tells me that.'
const STOP_WORDS = new Set(
  (
    'the and for are was were you your yours our what who whom whose which when where why how did does that this these those with from ' +
    'have has had can could would should will shall may might must not but his her its their they them then than there here about into ' +
    'over under please tell say said know remember again just also some any all been being out off once only own same very'
  ).split(' '),
)

/** The `count` best answers to a conversation, best first. If the context has fewer to quote, the last one repeats. */
export function answersFor(utterances: readonly Utterance[], count: number): string[] {
  const at = utterances.findLastIndex((u) => u.role === 'user')
  const question = utterances[at]?.text ?? ''
  const quotes = quotesFrom(utterances.slice(0, Math.max(at, 0)), contentWords(question))
  const fallback = question.includes('?') ? NOTHING : NOTED
  return Array.from({ length: count }, (_, i) => quotes[i] ?? quotes.at(-1) ?? fallback)
}

function quotesFrom(context: readonly Utterance[], asked: ReadonlySet<string>): string[] {
  const scored = context.flatMap(({ role, text }, turn) =>
    sentences(text).map((sentence) => ({ sentence, score: score(sentence, role, asked), turn })),
  )
  const fitting = scored.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score || b.turn - a.turn)
  return [...new Set(fitting.map(({ sentence }) => QUOTE + sentence))]
}

function score(sentence: string, role: string, asked: ReadonlySet<string>): number {
  // Earlier questions and the model's own quotes share the question's words, but answer nothing.
  if (sentence.startsWith(QUOTE) || sentence.endsWith('?')) return 0
  const words = contentWords(sentence)
  const shared = [...words].filter((word) => asked.has(word)).length
  const weight = role === 'user' ? 1 : 0.75
  return (shared * weight) / Math.sqrt(1 + words.size / 8)
}

function sentences(text: string): string[] {
  return text
    .split(/(?<=[.!?])\s+|\n+/)
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== '')
}

function contentWords(text: string): Set<string> {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  return new Set(words.filter((word) => word.length > 2 && !STOP_WORDS.has(word)).map(stem))
}

const stem = (word: string): string => (word.length > 4 ? word.replace(/(ing|ed|es|s)$/, '') : word)
