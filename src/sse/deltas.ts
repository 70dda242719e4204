// Text deltas: a stream's many events that differ only in their text. The first one is parsed; the others are recognized by the bytes around
// their text and parsed together at the end of the stream. So one token's event costs one comparison.

import { isObject, type JsonObject, parseJson } from '../base/json.ts'
import { decodeEvent } from './decode.ts'

/** Where a dialect's events contain the text they add. */
export interface DeltaRules {
  /** The text that the event adds, if it does nothing else; undefined for any other event. */
  textOf(event: JsonObject): string | undefined
  /** The same event with another text. */
  withText(event: JsonObject, text: string): JsonObject
}

/** Stands in for the text, to check that nothing else in the event changes with it. */
const PROBE = 'another text'
/** Characters that would end the text or the event early. A backslash at the end would escape the closing quote. */
const UNSAFE = /["\n\r]|\\$/

/** The bytes before and after the text, one character per byte. */
export class DeltaTemplate {
  readonly #prefix: string
  readonly #suffix: string
  readonly #event: JsonObject
  readonly #rules: DeltaRules

  private constructor(prefix: string, suffix: string, event: JsonObject, rules: DeltaRules) {
    this.#prefix = prefix
    this.#suffix = suffix
    this.#event = event
    this.#rules = rules
  }

  /** Built from the bytes of one event; undefined if the event does more than add text, or the text cannot be located. */
  static of(bytes: Buffer, rules: DeltaRules): DeltaTemplate | undefined {
    const event = objectIn(bytes)
    const text = event === undefined ? undefined : rules.textOf(event)
    if (event === undefined || text === undefined || text === '') return undefined
    const raw = bytes.toString('latin1')
    if (!raw.endsWith('\n\n') || raw.indexOf('\n\n') !== raw.length - 2) return undefined
    const quoted = `"${Buffer.from(text).toString('latin1')}"`
    const wanted = JSON.stringify(rules.withText(event, PROBE))
    for (let at = raw.indexOf(quoted); at !== -1; at = raw.indexOf(quoted, at + 1)) {
      const prefix = raw.slice(0, at + 1)
      const suffix = raw.slice(at + quoted.length - 1)
      const probed = objectIn(Buffer.from(prefix + PROBE + suffix, 'latin1'))
      if (JSON.stringify(probed) === wanted) return new DeltaTemplate(prefix, suffix, event, rules)
    }
    return undefined
  }

  /** The text in the bytes, if they are exactly one such event. */
  match(bytes: Buffer): string | undefined {
    if (bytes.length < this.#prefix.length + this.#suffix.length) return undefined
    const raw = bytes.toString('latin1')
    if (!raw.startsWith(this.#prefix) || !raw.endsWith(this.#suffix)) return undefined
    const text = raw.slice(this.#prefix.length, raw.length - this.#suffix.length)
    return UNSAFE.test(text) ? undefined : text
  }

  /** The combined content of consecutive events with these texts. */
  eventsOf(texts: readonly string[]): readonly JsonObject[] {
    const whole = unquoted(texts.join(''))
    if (whole !== undefined) return [this.#rules.withText(this.#event, whole)]
    // If one of them is not valid JSON, it is dropped and the others are kept.
    return texts.flatMap((text) => {
      const one = unquoted(text)
      return one === undefined ? [] : [this.#rules.withText(this.#event, one)]
    })
  }
}

function objectIn(bytes: Buffer): JsonObject | undefined {
  const data = decodeEvent(bytes)?.data
  const value = data === undefined ? undefined : parseJson(data)
  return isObject(value) ? value : undefined
}

function unquoted(text: string): string | undefined {
  const value = parseJson(`"${Buffer.from(text, 'latin1').toString('utf8')}"`)
  return typeof value === 'string' ? value : undefined
}
