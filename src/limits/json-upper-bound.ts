// An upper bound of the bytes that a chat template writes for a JSON value: indented, escaped to ASCII, and escaped again inside a string.
// Templates differ in all of this, and the bound must hold for each of them.

import { isObject, type JsonValue, MAX_DEPTH, parseJson } from '../base/json.ts'

/** A value's own quotes, escaped. */
const QUOTES = 4
/** Around a member: the quotes of its name, colon, comma, line break, or the tags of templates that write XML. */
const MEMBER = 16
/** Around an item: comma and line break. */
const ITEM = 4
const INDENT = 4
/** Additional bytes around each argument of a call: `<arg_key>`, `</arg_value>` and the like. */
const ARGUMENT = 48
/** Python writes 1e15 as 1000000000000000.0. */
const NUMBER = 16
/** From here on JavaScript writes an exponent, while Python may write all digits of an integer. */
const EXPONENT_FROM = 1e21
const MAX_DIGITS = 310
/** Python reads integers of at most this many digits (`sys.set_int_max_str_digits`); JavaScript reads them as infinite. */
const INFINITY_DIGITS = 4301

/** Bytes of `\\u00e9`, the most that any UTF-16 unit takes. */
const UNICODE_ESCAPE = 7
const ESCAPED = Uint8Array.from({ length: 128 }, (_, unit) => escapedAscii(String.fromCharCode(unit)))

/** Upper bound in bytes, and so in tokens; infinite if there is none. */
export function maxBytesOfJson(value: JsonValue | undefined, depth = 0): number {
  if (typeof value === 'string') return QUOTES + maxBytesEscaped(value)
  if (typeof value === 'number') return maxBytesOfNumber(value)
  if (typeof value !== 'object' || value === null) return 'false'.length
  // Deeper values come from a string of arguments that no engine reads, so there is no bound.
  if (depth > MAX_DEPTH) return Number.POSITIVE_INFINITY
  const inner = INDENT * (depth + 1)
  let bytes = ITEM + inner
  if (!isObject(value)) {
    for (const item of value) bytes += ITEM + inner + maxBytesOfJson(item, depth + 1)
    return bytes
  }
  for (const [key, member] of Object.entries(value)) {
    // Twice, because XML names a member at both ends.
    bytes += MEMBER + inner + 2 * maxBytesEscaped(key)
    bytes += key === 'arguments' || key === 'input' ? ofArguments(member, depth) : maxBytesOfJson(member, depth + 1)
  }
  return bytes
}

/** A call's arguments: vLLM parses the string they arrive in, and the template writes them in its own way. */
function ofArguments(value: JsonValue | undefined, depth: number): number {
  const asGiven = maxBytesOfJson(value, depth + 1)
  if (typeof value !== 'string') return asGiven + ARGUMENT * membersOf(value)
  const parsed = parseJson(value)
  // Python also reads NaN, and writes a space after commas.
  if (parsed === undefined) return 2 * asGiven
  return Math.max(asGiven, maxBytesOfJson(parsed, depth + 1) + ARGUMENT * membersOf(parsed))
}

function membersOf(value: JsonValue | undefined): number {
  return isObject(value) ? Object.keys(value).length : 0
}

function maxBytesEscaped(text: string): number {
  let bytes = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    bytes += unit < 0x80 ? (ESCAPED[unit] as number) : UNICODE_ESCAPE
  }
  return bytes
}

function maxBytesOfNumber(value: number): number {
  if (!Number.isFinite(value)) return INFINITY_DIGITS
  return NUMBER + (Math.abs(value) < EXPONENT_FROM ? String(value).length : MAX_DIGITS)
}

/** A quote inside a string inside a string is \\\"; Python's `repr` escapes the other kind. */
function escapedAscii(character: string): number {
  if (character === '"' || character === '\\') return 4
  if (character === "'") return 2
  if (character >= ' ' && character !== '\x7f') return 1
  return '\b\t\n\f\r'.includes(character) ? 3 : UNICODE_ESCAPE
}
