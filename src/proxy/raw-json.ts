// Edits of a JSON object in its own bytes: one member set, the rest untouched, so that numbers, escapes and order stay as sent.
// The bytes have been parsed before (strict UTF-8, one object), so the scanner only has to find its way, not to judge.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const COMMA = 0x2c
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

/** Offset just after the string whose opening quote is at `from`. */
function endOfString(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(QUOTE, from + 1); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
    let slashes = 0
    while (bytes[at - 1 - slashes] === BACKSLASH) slashes++
    if (slashes % 2 === 0) return at + 1
  }
  return bytes.length
}

/** Offset just after the value that begins at `from`. */
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

/** Where the value of a top-level member stands: of the last one, as parsers take it, if the key is there more than once. */
export function findMember(bytes: Buffer, key: string): Span | undefined {
  return membersOf(bytes).findLast((member) => member.key === key)
}

/** How often a top-level key stands there, however it is escaped. */
export function countMembers(bytes: Buffer, key: string): number {
  return membersOf(bytes).filter((member) => member.key === key).length
}

/**
 * Sets top-level members. `present` tells which keys the parsed object has: for the others no scan is needed, they go in right
 * after the opening brace. A present key is replaced where it stands, each time it stands there, however it is escaped.
 * What goes in uses up to `room` bytes that lie before `bytes` in their own buffer, if that is enough: then `bytes` are the caller's no more.
 */
export function setMembers(
  bytes: Buffer,
  changes: ReadonlyMap<string, Buffer | string>,
  present: (key: string) => boolean,
  room = 0,
): Buffer {
  const brace = bytes.indexOf(OPEN_OBJECT)
  const rest = brace + 1
  // `{}` has no member for the last comma to stand before.
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
    for (const { key, start, end } of membersOf(bytes)) {
      const value = replaced.has(key) ? changes.get(key) : undefined
      if (value === undefined) continue
      parts.push(bytes.subarray(at, start), value)
      at = end
    }
  }
  parts.push(bytes.subarray(at))
  return joinParts(parts)
}

function joinParts(parts: readonly (Buffer | string)[]): Buffer {
  if (parts.every((part) => typeof part === 'string')) return Buffer.from(parts.join(''))
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
}
