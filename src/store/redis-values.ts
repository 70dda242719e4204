// Values to bytes and back. The first byte tells clear (0) from sealed (a Sealer's version, never 0). Guards compare what is stored
// byte by byte, so a value is read, judged and replaced as one.

import { endianness } from 'node:os'
import { parseJson } from '../base/json.ts'
import type { WindowRecord } from '../base/records.ts'
import { keep, type Place, reveal, type Sealer } from './seal.ts'

const clear = Buffer.of(0)
const bigEndian = endianness() === 'BE'

/** What Redis keeps of `plain`. */
export function toStored(sealer: Sealer | undefined, plain: Uint8Array, place: Place): Buffer {
  const { bytes, keyId } = keep(sealer, plain, place)
  return keyId === 0 ? Buffer.concat([clear, bytes]) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function fromStored(sealer: Sealer | undefined, stored: Buffer, place: Place): Uint8Array {
  const keyId = keyIdOf(stored)
  return reveal(sealer, { bytes: keyId === 0 ? stored.subarray(1) : stored, keyId }, place)
}

/** With which key a stored value is sealed, told from its first five bytes; 0: it lies in clear. */
export function keyIdOf(stored: Buffer): number {
  return stored.length < 5 || stored[0] === 0 ? 0 : stored.readUInt32BE(1)
}

export function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** A record as it was written; anything else is damage, and its text is not told. */
export function fromJson<T>(stored: Uint8Array): T {
  const value = parseJson(Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength).toString('utf8'))
  if (typeof value !== 'object' || value === null) throw new Error('a stored record is not JSON')
  return value as T
}

/** A window's record with its words (`reason`, `note`) apart, so that these can be sealed while the rest is read without a key. */
interface StoredWindow {
  readonly record: WindowRecord
  readonly words?: string
}

const wordsOf = (record: WindowRecord): Place => ['window words', record.tenant, record.name, record.id]

export function windowToStored(sealer: Sealer | undefined, window: WindowRecord): Buffer {
  const { reason, note, ...record } = window
  if (reason === undefined && note === undefined) return toJson({ record })
  const words = toStored(sealer, toJson({ reason, note }), wordsOf(window)).toString('base64')
  return toJson({ record, words })
}

export function windowFromStored(sealer: Sealer | undefined, stored: Buffer): WindowRecord {
  const { record, words } = fromJson<StoredWindow>(stored)
  if (words === undefined) return record
  return { ...record, ...fromJson<object>(fromStored(sealer, Buffer.from(words, 'base64'), wordsOf(record))) }
}

/** The key that seals a stored window's words; undefined when it has none. */
export function wordsKeyId(stored: Buffer): number | undefined {
  const { words } = fromJson<StoredWindow>(stored)
  return words === undefined ? undefined : keyIdOf(Buffer.from(words, 'base64'))
}

/** Four bytes per id, least significant first on every machine. */
export function idsToBytes(tokenIds: Uint32Array): Uint8Array {
  const bytes = Buffer.from(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength)
  return bigEndian ? Buffer.from(bytes).swap32() : bytes
}

export function bytesToIds(stored: Uint8Array): Uint32Array {
  const bytes = new Uint8Array(stored) // a copy: a Uint32Array needs an aligned start
  if (bytes.byteLength % 4 !== 0) throw new Error('stored token ids are not whole')
  if (bigEndian) Buffer.from(bytes.buffer).swap32()
  return new Uint32Array(bytes.buffer)
}

/** Several sequences as one: how many, their lengths, then all ids. */
export function sequencesToBytes(sequences: readonly Uint32Array[]): Uint8Array {
  const head = Uint32Array.of(sequences.length, ...sequences.map((ids) => ids.length))
  return Buffer.concat([head, ...sequences].map(idsToBytes))
}

export function bytesToSequences(stored: Uint8Array): readonly Uint32Array[] {
  const all = bytesToIds(stored)
  const count = all[0] ?? 0
  let at = 1 + count
  return Array.from(all.subarray(1, at), (length) => {
    at += length
    return all.slice(at - length, at)
  })
}
