// Parses JSON bodies of forwarded requests, REST, MCP, and imports. Their cost is bounded before parsing: `JSON.parse` cannot be
// interrupted, and an object with half a million keys blocks the process for 743 ms.

import { isUtf8 } from 'node:buffer'
import { CwmError } from './errors.ts'
import { FairTurns, type Requester } from './fair-turns.ts'
import { isDeeperThan, isObject, type JsonObject, type JsonValue, MAX_DEPTH } from './json.ts'
import { COMMA, countByte, type Exceeded, OPEN_LIST, OPEN_OBJECT, QUOTE, scanJson } from './json-scan.ts'
import { textOf } from './utf8.ts'

export interface BodyBounds {
  /** Objects, lists, and strings in a body, keys included. Fifteen times as many numbers, booleans, and nulls are allowed. */
  readonly maxValues: number
  /** Members of one object. */
  readonly maxMembers: number
  /** Items of a list of messages. */
  readonly maxMessages: number
}

/** Larger bodies are parsed one at a time. */
export const LARGE_BYTES = 4 * 1024 * 1024
/** The default `max_body_bytes_in_all` allows fewer; this bound matters if it is raised. */
const MAX_WAITING = 256
/** This many scalars cost as much as one value. By default, a prompt of a million token ids is accepted. */
const SCALARS_PER_VALUE = 15
/** Minimum bytes of a scalar: `1,`. */
const SCALAR_BYTES = 2
/** Minimum bytes of a value: `[]`. A nested list needs no comma. */
const VALUE_BYTES = 2
/** Minimum bytes of a member: `"":0,`. */
const MEMBER_BYTES = 5

/** Parses bodies and limits their cost. One instance per process, so that all large bodies take turns. */
export class JsonBodies {
  readonly #bounds: BodyBounds
  readonly #turns = new FairTurns(MAX_WAITING)

  constructor(bounds: BodyBounds) {
    this.#bounds = bounds
  }

  /**
   * The value of a body in strict UTF-8; a promise if the body is large or may exceed a limit. Throws `INVALID_UTF8`, `INVALID_JSON`,
   * `BODY_TOO_COMPLEX`, `BODY_TOO_DEEP`; for large bodies also `OVERLOADED` and, if the client disconnects first, `CLIENT_GONE`.
   */
  parse(bytes: Buffer, requester: Requester): JsonValue | Promise<JsonValue> {
    if (bytes.length > LARGE_BYTES || this.#mayExceed(bytes)) return this.#parseSlowly(bytes, requester)
    return parseStrictly(bytes)
  }

  /** Throws `BODY_TOO_COMPLEX` if one of these message fields has too many items. */
  checkMessages(body: JsonObject, fields: Iterable<string>): void {
    const { maxMessages } = this.#bounds
    for (const field of fields) {
      const list = body[field]
      if (!Array.isArray(list) || list.length <= maxMessages) continue
      throw new CwmError(
        'BODY_TOO_COMPLEX',
        `\`${field}\` has ${list.length} items; at most ${maxMessages} are allowed (setting max_messages)`,
        { param: field, bound: 'messages' },
      )
    }
  }

  async #parseSlowly(bytes: Buffer, requester: Requester): Promise<JsonValue> {
    if (this.#mayExceed(bytes)) {
      const exceeded = await scanJson(bytes, { ...this.#bounds, maxScalars: this.#maxScalars, maxDepth: MAX_DEPTH })
      if (exceeded !== undefined) throw this.#refusal(exceeded)
    }
    if (bytes.length <= LARGE_BYTES) return parseStrictly(bytes)
    return await this.#turns.run(requester, () => parseStrictly(bytes))
  }

  /**
   * Computes upper bounds by native searches: each string has two quotes, each object and list a bracket, and each scalar except the first
   * of its object or list a comma before it. Quotes, brackets and commas inside strings count too. Most bodies are too short to need these
   * searches.
   */
  #mayExceed(bytes: Buffer): boolean {
    const { maxValues, maxMembers } = this.#bounds
    if (bytes.length <= VALUE_BYTES * maxValues && bytes.length <= MEMBER_BYTES * maxMembers) return false
    let left = maxValues
    const strings = countByte(bytes, QUOTE, 2 * Math.min(maxValues, maxMembers)) / 2
    if (strings > maxMembers) return true
    left -= strings
    if (left < 0) return true
    left -= countByte(bytes, OPEN_OBJECT, left)
    if (left < 0) return true
    left -= countByte(bytes, OPEN_LIST, left)
    if (left < 0) return true
    const scalars = this.#maxScalars
    return bytes.length > SCALAR_BYTES * scalars && countByte(bytes, COMMA, scalars - maxValues) > scalars - maxValues
  }

  get #maxScalars(): number {
    return SCALARS_PER_VALUE * this.#bounds.maxValues
  }

  #refusal(exceeded: Exceeded): CwmError {
    if (exceeded === 'depth') return tooDeep()
    const { maxValues, maxMembers } = this.#bounds
    if (exceeded === 'scalars') {
      return new CwmError(
        'BODY_TOO_COMPLEX',
        `the request body holds more than ${this.#maxScalars} numbers (${SCALARS_PER_VALUE} times setting max_body_values)`,
        { param: 'body', bound: 'body_values' },
      )
    }
    return exceeded === 'values'
      ? new CwmError(
          'BODY_TOO_COMPLEX',
          `the request body holds more than ${maxValues} objects, lists and strings, keys included (setting max_body_values)`,
          { param: 'body', bound: 'body_values' },
        )
      : new CwmError(
          'BODY_TOO_COMPLEX',
          `an object in the request body has more than ${maxMembers} members (setting max_object_members)`,
          { param: 'body', bound: 'object_members' },
        )
  }
}

/** Returns the value as an object. Throws `INVALID_JSON` for any other value. */
export function requireObject(value: JsonValue): JsonObject {
  if (isObject(value)) return value
  throw new CwmError('INVALID_JSON', 'the request body must be a JSON object', { param: 'body' })
}

/** Parses one JSON value in strict UTF-8, without limiting the cost. Throws `INVALID_UTF8`, `INVALID_JSON` or `BODY_TOO_DEEP`. */
export function parseStrictly(bytes: Buffer): JsonValue {
  if (!isUtf8(bytes)) throw new CwmError('INVALID_UTF8', 'the request body is not valid UTF-8', { param: 'body' })
  let value: JsonValue
  try {
    value = JSON.parse(textOf(bytes)) as JsonValue
  } catch (cause) {
    throw new CwmError('INVALID_JSON', `the request body is not valid JSON${placeOf(cause)}`, { param: 'body' })
  }
  // Later code may process the value recursively.
  if (typeof value === 'object' && value !== null && isDeeperThan(value, MAX_DEPTH)) throw tooDeep()
  return value
}

function tooDeep(): CwmError {
  return new CwmError('BODY_TOO_DEEP', `the request body is nested deeper than ${MAX_DEPTH} levels`, {
    param: 'body',
    bound: 'depth',
  })
}

/** V8's message may quote the input, which is the client's prompt. Only a position at the end of the message is used. */
function placeOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : ''
  const position = / at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(text)?.[1]
  if (position !== undefined) return `: something is wrong at character ${position}`
  return text.startsWith('Unexpected end') ? ': it ends too early' : ''
}
