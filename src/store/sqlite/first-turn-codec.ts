// A session that was just begun, as a few bytes: what many share is its shape, which is stored once; random ids and digests are binary.
// What does not fit exactly is not encoded.

import type { Boundary, SessionRecord, Usage } from '../../base/records.ts'
import type { TurnTrace } from '../store.ts'

/** A session and the boundaries of its only save. */
export interface FirstTurn {
  readonly session: SessionRecord
  readonly boundaries: readonly Boundary[]
}

export interface EncodedFirstTurn {
  /** The fields that other sessions have alike, the tenant among them, as JSON. */
  readonly shape: string
  readonly data: Buffer
}

/** What a shape stands for. */
export type Shape = Pick<SessionRecord, 'tenant' | 'named'> & Partial<SessionRecord>

const MAX_BOUNDARIES = 8
const MAX_SHAPE = 1_000
const MAX_TEXT = 200
const encoded = new Set(['id', 'lineage', 'createdAt', 'lastTurnAt', 'usage'])
const common = new Set(['tenant', 'named', 'head', 'spaces', 'model', 'dialect', 'turns', 'limit'])
const counts = ['promptTokens', 'completionTokens', 'totalTokens', 'cachedTokens'] as const

/** Undefined where it does not fit. */
export function encodeFirstTurn(session: SessionRecord, traces: readonly TurnTrace[]): EncodedFirstTurn | undefined {
  const boundaries = traces.flatMap((trace) => trace.boundaries)
  const shape = shapeOf(session)
  if (shape === undefined || !fits(boundaries, traces)) return undefined
  const { id, lineage, createdAt, lastTurnAt, usage } = session
  const lasts = (boundaries[0]?.expiresAt ?? lastTurnAt) - lastTurnAt
  const numbers = [lastTurnAt - createdAt, lasts, boundaries.length]
  const writer = new Writer()
  if (!writer.text(id) || !writer.text(lineage) || !numbers.every((number) => writer.number(number))) return undefined
  for (const { digest, rank = 0 } of boundaries) if (!writer.number(rank) || !writer.text(digest)) return undefined
  return writeUsage(writer, usage) ? { shape, data: writer.bytes() } : undefined
}

/** `lastTurnAt` is kept elsewhere: rows are in its order. */
export function decodeFirstTurn({ tenant, ...shape }: Shape, lastTurnAt: number, data: Uint8Array): FirstTurn {
  const reader = new Reader(data)
  const [id, lineage] = [reader.text(), reader.text()]
  const createdAt = lastTurnAt - reader.number()
  const expiresAt = lastTurnAt + reader.number()
  const boundaries = Array.from({ length: reader.number() }, () => {
    const rank = reader.number()
    return { digest: reader.text(), tenant, sessionId: id, expiresAt, rank }
  })
  const usage = readUsage(reader)
  const session = { tenant, id, ...shape, lineage, createdAt, lastTurnAt, ...(usage === undefined ? {} : { usage }) }
  return { session: session as SessionRecord, boundaries }
}

function shapeOf(session: SessionRecord): string | undefined {
  const shape: Record<string, unknown> = {}
  for (const field in session) {
    const value = session[field as keyof SessionRecord]
    if (common.has(field)) shape[field] = value
    else if (!encoded.has(field) && value !== undefined) return undefined
  }
  // A client may send a new salt with each turn.
  if (session.spaces.some(({ clientSalt }) => clientSalt !== undefined)) return undefined
  const text = JSON.stringify(shape)
  return text.length > MAX_SHAPE ? undefined : text
}

/** Few, none twice, all of one expiry, and none that would be dropped at once. */
function fits(boundaries: readonly Boundary[], traces: readonly TurnTrace[]): boolean {
  if (traces.some(({ responses = [] }) => responses.length > 0)) return false
  const keep = Math.min(...traces.map(({ keepBoundaries }) => keepBoundaries))
  if (boundaries.length > Math.min(keep, MAX_BOUNDARIES)) return false
  const [first] = boundaries
  if (boundaries.some(({ expiresAt }) => expiresAt !== first?.expiresAt)) return false
  return boundaries.length < 2 || new Set(boundaries.map(({ digest }) => digest)).size === boundaries.length
}

/** One more than each number, 0 for those that are absent; nothing at all without usage. */
function writeUsage(writer: Writer, usage: Usage | undefined): boolean {
  if (usage === undefined) return true
  if (Object.keys(usage).some((field) => !counts.includes(field as (typeof counts)[number]))) return false
  return counts.every((field) => {
    const count = usage[field]
    return writer.number(count === undefined ? 0 : count + 1)
  })
}

function readUsage(reader: Reader): Usage | undefined {
  if (reader.done) return undefined
  const entries = counts.map((field) => [field, reader.number() - 1] as const).filter(([, count]) => count >= 0)
  return Object.fromEntries(entries) as unknown as Usage
}

/** Texts of random bits in base64url, by the bytes that they stand for. The last character has no bits that the bytes lack. */
const binaries = [
  { prefix: 's-', bytes: 16, form: /^s-[\w-]{21}[AQgw]$/ },
  { prefix: '', bytes: 16, form: /^[\w-]{21}[AQgw]$/ },
  { prefix: '', bytes: 32, form: /^[\w-]{42}[AEIMQUYcgkosw048]$/ },
] as const
const PLAIN = /^[\x20-\x7e]*$/

class Writer {
  /** Long enough for the longest texts. */
  readonly #buffer = Buffer.allocUnsafe((MAX_BOUNDARIES + 4) * (MAX_TEXT + 16))
  #at = 0

  bytes(): Buffer {
    return Buffer.from(this.#buffer.subarray(0, this.#at))
  }

  /** Seven bits a byte, least significant first. False unless it is a whole number from 0. */
  number(value: number): boolean {
    if (!Number.isSafeInteger(value) || value < 0) return false
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#buffer[this.#at++] = (rest % 128) | 128
    this.#buffer[this.#at++] = rest
    return true
  }

  /** A kind, or the length and the characters. False for what is neither. */
  text(text: string): boolean {
    const kind = binaries.findIndex(({ form }) => form.test(text))
    const binary = binaries[kind]
    if (binary !== undefined) {
      this.number(kind)
      this.#at += this.#buffer.write(text.slice(binary.prefix.length), this.#at, 'base64url')
      return true
    }
    if (text.length > MAX_TEXT || !PLAIN.test(text)) return false
    this.number(binaries.length + text.length)
    this.#at += this.#buffer.write(text, this.#at, 'latin1')
    return true
  }
}

class Reader {
  readonly #data: Buffer
  #at = 0

  constructor(data: Uint8Array) {
    this.#data = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  }

  get done(): boolean {
    return this.#at >= this.#data.length
  }

  number(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#data.readUInt8(this.#at++)
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  text(): string {
    const kind = this.number()
    const binary = binaries[kind]
    if (binary === undefined) return this.#take(kind - binaries.length, 'latin1')
    return binary.prefix + this.#take(binary.bytes, 'base64url')
  }

  #take(bytes: number, encoding: 'latin1' | 'base64url'): string {
    this.#at += bytes
    return this.#data.toString(encoding, this.#at - bytes, this.#at)
  }
}
