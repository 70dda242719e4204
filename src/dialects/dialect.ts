// What the four request shapes have in common: a history of messages, an answer to read, an error to word.
// One file per dialect holds the rest; nothing here or there knows of HTTP, sessions or windows.

import { CwmError } from '../base/errors.ts'
import { type JsonObject, type JsonValue, MAX_DEPTH, parseJson } from '../base/json.ts'
import type { Dialect, Usage } from '../base/records.ts'
import type { DeltaRules } from '../sse/deltas.ts'

/** One alternative of an answer (`n` > 1 gives several), as the messages that a client would send back. */
export interface Choice {
  readonly messages: readonly JsonValue[]
  readonly finishReason?: string
}

/** What an answer was found to hold, read from its bytes after they went out. */
export interface Observation {
  readonly usage?: Usage
  readonly choices: readonly Choice[]
  /** By which a later request may refer to the answer, where the engine keeps it. */
  readonly responseId?: string
  /** False when the answer broke off, or told of an error: such a turn is no one's history. */
  readonly complete: boolean
}

/** The place of one message in the identity of a history. */
export interface CanonicalMessage {
  /** Unambiguous text of the fields that identify the message; undefined for what clients may leave out of an echo. */
  readonly text: string | undefined
  /** Whether the model wrote it: a delivered reply ends with such a message. */
  readonly fromModel: boolean
}

export interface DialectRules {
  readonly dialect: Dialect
  /** Body field that holds the messages; undefined where there are none. */
  readonly messagesField: 'messages' | 'input' | undefined
  /** Body fields beside the messages that shape the prompt. A window keeps them. */
  readonly shapingFields: readonly string[]
  /** The body's messages as a list (a plain string input becomes one user message). Throws `INVALID_FIELD`. */
  readMessages(body: JsonObject): readonly JsonValue[]
  /** Body field of a system prompt that stands outside the messages; undefined where there is none. */
  readonly systemField: 'system' | 'instructions' | undefined
  /** The system prompt that stands outside the messages, as a message. */
  outerSystem(body: JsonObject): JsonValue | undefined
  canonical(message: JsonValue, budget?: ArgumentsBudget): CanonicalMessage
  /** As `canonical` says it, without the work of the text. */
  isFromModel(message: JsonValue): boolean
  /** Body of a user message with this text, to probe what the next prompt begins with. */
  probe(text: string, previous: JsonValue | undefined): readonly JsonValue[]
  /** Whether this stands in the messages as a system prompt. */
  isSystem(message: JsonValue): boolean
  /** Ids of the tool calls that the message opens; '' for one without an id. */
  callsIn(message: JsonValue): readonly string[]
  /** Ids of the tool calls whose results the message holds; '' for a result that does not say. */
  answersIn(message: JsonValue): readonly string[]
  /** Tokens that the client wants of the answer at most; undefined when it sets no bound. */
  maxTokens(body: JsonObject): number | undefined
  /** Finish reason of an answer that ran out of the tokens it was allowed. */
  readonly cutReason: string
  observeJson(body: JsonObject): Observation
  /** Of neighbouring text deltas one may stand for all, with their texts together. */
  observeEvents(events: readonly JsonObject[]): Observation
  /** Where a stream's events hold the text that they add; undefined where each of them differs in more than that. */
  readonly deltas: DeltaRules | undefined
}

/** `messages` of chat and of Anthropic's messages. Throws `INVALID_FIELD` when it is not a list. */
export function readMessageList({ messages }: JsonObject): readonly JsonValue[] {
  if (Array.isArray(messages)) return messages
  throw new CwmError('INVALID_FIELD', '`messages` must be a list of messages', { param: 'messages' })
}

/** A frame that cannot be confused with its neighbours: a tag, the length in UTF-16 units, the text. */
export function frame(tag: string, text: string): string {
  return `${tag}${text.length}:${text}`
}

/** JSON with sorted keys and without nulls: equal for equal meaning, whatever order an SDK wrote it in. */
export function stableJson(value: JsonValue | undefined): string {
  return write(value, false, 0) ?? '"too deep"'
}

/** The same of an object without some members: an object of many keys is expensive to copy. */
export function stableJsonWithout(value: JsonObject, left: readonly string[]): string {
  return writeObject(value, false, 0, left) ?? '"too deep"'
}

const BUDGET_CHARACTERS = 256 * 1024
/** As many as a body may hold values by default. A chat that has more in its arguments holds some hundred thousand tokens of them. */
const BUDGET_MARKS = 100_000

/**
 * How much of the arguments in one history is read as JSON: they stand in strings, so nothing has counted their values. What goes beyond
 * it is compared as it is. Spent in the history's order, so that a history that grows is read as it was before.
 */
export class ArgumentsBudget {
  #characters: number
  #marks: number

  constructor(characters = BUDGET_CHARACTERS, marks = BUDGET_MARKS) {
    this.#characters = characters
    this.#marks = marks
  }

  /** What is left of it, to be spent anew: by each reply to the same history. */
  copy(): ArgumentsBudget {
    return new ArgumentsBudget(this.#characters, this.#marks)
  }

  /** Whether this text may be read. */
  take(text: string): boolean {
    if (this.#characters > 0) {
      this.#characters -= text.length
      return true
    }
    if (this.#marks > 0) this.#marks -= marksIn(text, ['{', '[', ':', ','], this.#marks)
    return this.#marks > 0
  }
}

/**
 * A tool call's arguments with white space and key order evened out: SDKs parse and write them anew. A null in them was said by the
 * model, so it stays. No arguments and `{}` are one: engines send the first, SDKs echo the second, templates see no difference.
 * Text that is intricate, or beyond the budget of its history, is left as it is.
 */
export function stableArguments(value: JsonValue | undefined, budget?: ArgumentsBudget): string {
  if (value === undefined || value === null) return '{}'
  if (typeof value !== 'string') return write(value, true, 0) ?? '"too deep"'
  if (value.trim() === '') return '{}'
  if (isIntricate(value) || budget?.take(value) === false) return value
  const parsed = parseJson(value)
  return (parsed === undefined ? undefined : write(parsed, true, 0)) ?? value
}

const INTRICATE_CHARACTERS = 32 * 1024
const INTRICATE_LISTS = 5_000

/** Values inside a string were not counted against the body's bounds. Text with many objects and lists is therefore compared unparsed. */
function isIntricate(text: string): boolean {
  if (text.length < INTRICATE_CHARACTERS) return false
  return marksIn(text, ['{', '[', ':'], INTRICATE_LISTS) > INTRICATE_LISTS
}

/** How often any of the marks stands there; one more than `most` as soon as it is more. */
function marksIn(text: string, marks: readonly string[], most: number): number {
  let count = 0
  for (const mark of marks) {
    for (let at = text.indexOf(mark); at !== -1; at = text.indexOf(mark, at + 1)) {
      count++
      if (count > most) return count
    }
  }
  return count
}

/** Undefined when the value is nested too deep. */
function write(value: JsonValue | undefined, keepNulls: boolean, depth: number): string | undefined {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  // The proxy rejects deeper requests, but a model may write such arguments; they must not exhaust the stack.
  if (depth > MAX_DEPTH) return undefined
  if (Array.isArray(value)) return writeList(value as readonly JsonValue[], keepNulls, depth)
  return writeObject(value as JsonObject, keepNulls, depth, [])
}

function writeObject(
  value: JsonObject,
  keepNulls: boolean,
  depth: number,
  left: readonly string[],
): string | undefined {
  let text = ''
  for (const key of Object.keys(value).sort()) {
    const member = value[key]
    if (left.includes(key)) continue
    if (!keepNulls && (member === null || member === undefined)) continue
    const written = write(member, keepNulls, depth + 1)
    if (written === undefined) return undefined
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${written}`
  }
  return `{${text}}`
}

const isNested = (item: JsonValue) => typeof item === 'object' && item !== null

function endOfScalars(list: readonly JsonValue[], from: number): number {
  let end = from
  while (end < list.length && !isNested(list[end] ?? null)) end++
  return end
}

/** Runs of scalars are written natively, because a list may hold millions of numbers, which no bound counts. */
function writeList(list: readonly JsonValue[], keepNulls: boolean, depth: number): string | undefined {
  let text = ''
  for (let from = 0; from < list.length; ) {
    const item = list[from] ?? null
    const end = isNested(item) ? from + 1 : endOfScalars(list, from)
    const written =
      end === from + 1 ? write(item, keepNulls, depth + 1) : JSON.stringify(list.slice(from, end)).slice(1, -1)
    if (written === undefined) return undefined
    text += from === 0 ? written : `,${written}`
    from = end
  }
  return `[${text}]`
}

/** Claude Code opens its system prompt with a line that changes with each request, and so do gateways that translate it. */
export const BILLING_HEADER = 'x-anthropic-billing-header'

/** A field of a JSON object as text; undefined when it is absent, null or not text. */
export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A field of a JSON object as a whole number of tokens; undefined when it is not one. 0 is a value. */
export function countOf(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
