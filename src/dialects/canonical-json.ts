// The canonical text by which messages of two histories are compared: frames, and JSON in one fixed form.

import { isDeeperThan, type JsonObject, type JsonValue, MAX_DEPTH, parseJson } from '../base/json.ts'

/** A frame that cannot be confused with adjacent ones: a tag, the length in UTF-16 units, the text. */
export function frame(tag: string, text: string): string {
  return `${tag}${text.length}:${text}`
}

/** JSON with sorted keys and without nulls: equal for equal meaning, in whatever order an SDK wrote it. */
export function stableJson(value: JsonValue | undefined): string {
  return write(value, false, 0) ?? '"too deep"'
}

/** The same for an object without some members; copying an object of many keys is expensive. */
export function stableJsonWithout(value: JsonObject, left: readonly string[]): string {
  return writeObject(value, false, 0, left) ?? '"too deep"'
}

const BUDGET_CHARACTERS = 256 * 1024
/** The default limit on a body's values. A chat with more values in its arguments has several hundred thousand tokens of them. */
const BUDGET_MARKS = 100_000

/**
 * Limits how much of a history's tool arguments is parsed as JSON: they are strings, so the body's limits did not count their values. Text
 * beyond the budget is compared unparsed. The budget is spent in the history's order, so a growing history is read the same way as before.
 */
export class ArgumentsBudget {
  #characters: number
  #marks: number

  constructor(characters = BUDGET_CHARACTERS, marks = BUDGET_MARKS) {
    this.#characters = characters
    this.#marks = marks
  }

  /** A copy of the remaining budget, one for each reply to the same history. */
  copy(): ArgumentsBudget {
    return new ArgumentsBudget(this.#characters, this.#marks)
  }

  /** Whether this text may be parsed. */
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
 * A tool call's arguments with normalized white space and key order, because SDKs parse and rewrite them. Nulls stay, because the model wrote
 * them. Missing arguments equal `{}`: engines send the former, SDKs echo the latter, and templates treat them alike. Text that is too complex,
 * or beyond the history's budget, stays unchanged.
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

/** Counts the marks; stops at `most + 1`. */
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

/**
 * Objects with more keys are written unchanged: sorting 80,000 keys of a crafted body held the event loop for 180 ms. No SDK's message
 * model has so many fields, so none reorders them or adds a null.
 */
const MAX_SORTED_KEYS = 1_000

/** Undefined if the value is nested too deeply. */
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
  const keys = Object.keys(value)
  if (keys.length <= MAX_SORTED_KEYS) keys.sort()
  else return isDeeperThan(value, MAX_DEPTH - depth) ? undefined : JSON.stringify(value)
  let text = ''
  for (const key of keys) {
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
