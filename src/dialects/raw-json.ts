// Edits a JSON object in its bytes: sets one member and leaves the rest untouched, so that numbers, escapes and order stay as sent.
// The bytes were parsed before (strict UTF-8, one object), so the scanner does not validate.

import { CwmError } from '../base/errors.ts'
import { CLOSE_LIST, CLOSE_OBJECT, COMMA, endOfString, OPEN_LIST, OPEN_OBJECT, QUOTE } from '../base/json-scan.ts'

const COLON = 0x3a

/** Offsets of one value in the bytes. */
export interface Span {
  readonly start: number
  readonly end: number
}

interface Member extends Span {
  readonly key: string
  readonly keyStart: number
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from
  for (let c = bytes[at]; c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09; c = bytes[at]) at++
  return at
}

/** Offset just after the value that starts at `from`. */
function endOfValue(bytes: Buffer, from: number): number {
  const first = bytes[from]
  if (first === QUOTE) return endOfString(bytes, from)
  let at = from
  let depth = 0
  while (at < bytes.length) {
    const c = bytes[at]
    if (c === QUOTE) {
      at = endOfString(bytes, at)
      continue
    }
    if (c === OPEN_OBJECT || c === OPEN_LIST) depth++
    else if (c === CLOSE_OBJECT || c === CLOSE_LIST) {
      if (depth === 0) return at
      depth--
      if (depth === 0) return at + 1
    } else if (depth === 0 && (c === COMMA || c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09)) return at
    at++
  }
  return at
}

function membersOf(bytes: Buffer): Member[] {
  const members: Member[] = []
  let at = skipSpace(bytes, skipSpace(bytes, 0) + 1)
  while (bytes[at] === QUOTE) {
    const keyStart = at
    const keyEnd = endOfString(bytes, at)
    const key = JSON.parse(bytes.toString('utf8', keyStart, keyEnd)) as string
    at = skipSpace(bytes, keyEnd)
    if (bytes[at] === COLON) at++
    const start = skipSpace(bytes, at)
    const end = endOfValue(bytes, start)
    members.push({ key, keyStart, start, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
  }
  return members
}

/** The items of the list whose `[` is at `start`. */
export function itemsOf(bytes: Buffer, start: number): Span[] {
  const items: Span[] = []
  let at = skipSpace(bytes, start + 1)
  while (at < bytes.length && bytes[at] !== CLOSE_LIST) {
    const end = endOfValue(bytes, at)
    items.push({ start: at, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
  }
  return items
}

/** A JSON object in its bytes. Finds its members once, on first use. */
export class RawObject {
  readonly bytes: Buffer
  #members: readonly Member[] | undefined

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get members(): readonly Member[] {
    this.#members ??= membersOf(this.bytes)
    return this.#members
  }

  /** The value of a top-level member; the last one if the key is repeated, as parsers read it. */
  find(key: string): Span | undefined {
    return this.members.findLast((member) => member.key === key)
  }

  /** How often a top-level key occurs, with any escaping. */
  count(key: string): number {
    let count = 0
    for (const member of this.members) if (member.key === key) count++
    return count
  }

  /**
   * Throws `INVALID_FIELD` if one of the keys occurs more than once. For members that cwm replaces: each repetition would make the outgoing
   * body longer, and no legitimate client sends one.
   */
  requireOnce(keys: Iterable<string>): void {
    const seen = new Map<string, boolean>()
    for (const key of keys) seen.set(key, false)
    for (const { key } of this.members) {
      const before = seen.get(key)
      if (before === undefined) continue
      if (before) {
        throw new CwmError('INVALID_FIELD', `\`${key}\` occurs more than once; cwm sets this field, so send it once`, {
          param: key,
          bound: 'repeated_member',
        })
      }
      seen.set(key, true)
    }
  }
}

/**
 * Sets top-level members. `present` says which keys the parsed object has; the others need no scan and are inserted right after the opening
 * brace. A present key is replaced in place, with any escaping; one that occurs twice throws `INVALID_FIELD`. The result uses up to `room`
 * bytes that precede `bytes` in their own buffer, if that is enough; the caller then no longer owns `bytes`.
 */
export function setMembers(
  raw: RawObject,
  changes: ReadonlyMap<string, Buffer | string>,
  present: (key: string) => boolean,
  room = 0,
): Buffer {
  const { bytes } = raw
  const brace = bytes.indexOf(OPEN_OBJECT)
  const rest = brace + 1
  // `{}` has no member that could follow the last comma.
  const isEmpty = bytes[skipSpace(bytes, rest)] === CLOSE_OBJECT
  const replaced = new Set<string>()
  const added: (Buffer | string)[] = []
  for (const [key, value] of changes) {
    if (present(key)) replaced.add(key)
    else added.push(added.length === 0 ? '{' : ',', JSON.stringify(key), ':', value)
  }
  if (added.length === 0) added.push('{')
  else if (!isEmpty) added.push(',')
  const front = joinParts(added)
  if (replaced.size === 0 && brace === 0 && front.length <= room + rest) {
    const whole = Buffer.from(bytes.buffer, bytes.byteOffset + rest - front.length, front.length + bytes.length - rest)
    front.copy(whole)
    return whole
  }
  const parts: (Buffer | string)[] = [bytes.subarray(0, brace), front]
  let at = rest
  if (replaced.size > 0) {
    raw.requireOnce(replaced)
    for (const { key, start, end } of raw.members) {
      const value = replaced.has(key) ? changes.get(key) : undefined
      if (value === undefined) continue
      parts.push(bytes.subarray(at, start), value)
      at = end
    }
  }
  parts.push(bytes.subarray(at))
  return joinParts(parts)
}

/** A copy of an object's bytes in which these members, which it has, have other values. Throws `INVALID_FIELD` if one occurs twice. */
export function replaceMembers(bytes: Buffer, changes: ReadonlyMap<string, Buffer | string>): Buffer {
  return setMembers(new RawObject(bytes), changes, () => true)
}

function joinParts(parts: readonly (Buffer | string)[]): Buffer {
  if (parts.every((part) => typeof part === 'string')) return Buffer.from(parts.join(''))
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
}
