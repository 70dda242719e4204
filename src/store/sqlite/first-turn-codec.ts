// Encodes a session with a single turn in a few bytes: the part that many sessions share is its shape, which is stored once; random ids and
// digests are binary. Sessions that do not fit exactly are not encoded.

import { randomInt } from 'node:crypto'
import type { Boundary, SessionRecord, Usage } from '../../base/records.ts'
import type { TurnTrace } from '../store-values.ts'
import { Reader, Writer } from './packed-bytes.ts'

/** A session and the boundaries of its only save. */
export interface FirstTurn {
  readonly session: SessionRecord
  readonly boundaries: readonly Boundary[]
}

export interface EncodedFirstTurn {
  /** The fields that other sessions share, including the tenant, as JSON. */
  readonly shape: string
  readonly data: Buffer
}

/** The fields of a shape. */
export type Shape = Pick<SessionRecord, 'tenant' | 'named'> & Partial<SessionRecord>

const MAX_BOUNDARIES = 8
const MAX_SHAPE = 1_000
const encoded = new Set(['id', 'lineage', 'createdAt', 'lastTurnAt', 'usage'])
const common = new Set(['tenant', 'named', 'head', 'spaces', 'model', 'dialect', 'turns', 'limit'])
const counts = ['promptTokens', 'completionTokens', 'totalTokens', 'cachedTokens'] as const

/** Undefined if it does not fit. */
export function encodeFirstTurn(session: SessionRecord, traces: readonly TurnTrace[]): EncodedFirstTurn | undefined {
  const boundaries = traces.flatMap((trace) => trace.boundaries)
  const shape = shapeOf(session)
  if (shape === undefined || !fits(boundaries, traces)) return undefined
  const { id, lineage, createdAt, lastTurnAt, usage } = session
  const lasts = (boundaries[0]?.expiresAt ?? lastTurnAt) - lastTurnAt
  const numbers = [lastTurnAt - createdAt, lasts, boundaries.length]
  const writer = new Writer(MAX_BOUNDARIES + 2)
  if (!writer.text(id) || !writer.text(lineage) || !numbers.every((number) => writer.number(number))) return undefined
  for (const { digest, rank = 0 } of boundaries) if (!writer.number(rank) || !writer.text(digest)) return undefined
  return writeUsage(writer, usage) ? { shape, data: writer.bytes() } : undefined
}

/** `lastTurnAt` is stored separately, because rows are ordered by it. */
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

/** Random, so that nobody can send histories whose keys share one place of the table in memory. */
const seed = randomInt(2 ** 32)
/** The hash seeds of the keys by which a first turn is found. Nothing stored depends on them. */
export const keySeeds = { id: seed, lineage: seed ^ 1, digest: seed ^ 2 } as const

/** The hashes of all keys of an encoded turn: id, lineage, digests. */
export function keyHashesIn(data: Uint8Array): readonly number[] {
  const reader = new Reader(data)
  const hashes = [reader.hash(keySeeds.id), reader.hash(keySeeds.lineage)]
  reader.number() // time since its start
  reader.number() // time until its boundaries expire
  for (let left = reader.number(); left > 0; left--) {
    reader.number() // rank
    hashes.push(reader.hash(keySeeds.digest))
  }
  return hashes
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

/** Few distinct boundaries with one expiry, none of which would be dropped at once. */
function fits(boundaries: readonly Boundary[], traces: readonly TurnTrace[]): boolean {
  if (traces.some(({ responses = [] }) => responses.length > 0)) return false
  const keep = Math.min(...traces.map(({ keepBoundaries }) => keepBoundaries))
  if (boundaries.length > Math.min(keep, MAX_BOUNDARIES)) return false
  const [first] = boundaries
  if (boundaries.some(({ expiresAt }) => expiresAt !== first?.expiresAt)) return false
  return boundaries.length < 2 || new Set(boundaries.map(({ digest }) => digest)).size === boundaries.length
}

/** Each number plus one, 0 for absent ones; nothing at all without usage. */
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
