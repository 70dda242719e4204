// Converts values to bytes and back. The first byte distinguishes clear text (0) from sealed data (a Sealer's version, never 0). Guards
// compare stored bytes, so a value is read, checked and replaced as a whole.

import type { WindowRecord } from '../../base/records.ts'
import { openValue, type Place, type Sealer, sealValue } from '../seal.ts'
import { jsonInBytes, tokenIdsIn, tokenIdsToBytes } from '../stored-values.ts'

const clear = Buffer.of(0)

/** The stored form of `plain`. */
export function toStored(sealer: Sealer | undefined, plain: Uint8Array, place: Place): Buffer {
  const { bytes, keyId } = sealValue(sealer, plain, place)
  return keyId === 0 ? Buffer.concat([clear, bytes]) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function fromStored(sealer: Sealer | undefined, stored: Buffer, place: Place): Uint8Array {
  const keyId = keyIdOf(stored)
  return openValue(sealer, { bytes: keyId === 0 ? stored.subarray(1) : stored, keyId }, place)
}

/** The id of the key that sealed a stored value, from its first five bytes; 0: clear text. */
export function keyIdOf(stored: Buffer): number {
  return stored.length < 5 || stored[0] === 0 ? 0 : stored.readUInt32BE(1)
}

export function toJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** A window's record with its texts (`reason`, `note`) apart, so that these can be sealed while the rest is readable without a key. */
interface StoredWindow {
  readonly record: WindowRecord
  readonly words?: string
}

const windowTextsPlace = (record: WindowRecord): Place => ['window words', record.tenant, record.name, record.id]

export function windowToStored(sealer: Sealer | undefined, window: WindowRecord): Buffer {
  const { reason, note, ...record } = window
  if (reason === undefined && note === undefined) return toJson({ record })
  const words = toStored(sealer, toJson({ reason, note }), windowTextsPlace(window)).toString('base64')
  return toJson({ record, words })
}

export function windowFromStored(sealer: Sealer | undefined, stored: Buffer): WindowRecord {
  const { record, words } = jsonInBytes<StoredWindow>(stored)
  if (words === undefined) return record
  return {
    ...record,
    ...jsonInBytes<object>(fromStored(sealer, Buffer.from(words, 'base64'), windowTextsPlace(record))),
  }
}

/** The key that seals a stored window's texts; undefined if it has none. */
export function windowTextsKeyId(stored: Buffer): number | undefined {
  const { words } = jsonInBytes<StoredWindow>(stored)
  return words === undefined ? undefined : keyIdOf(Buffer.from(words, 'base64'))
}

/** Several sequences as one value: their number, their lengths, then all ids. */
export function sequencesToBytes(sequences: readonly Uint32Array[]): Uint8Array {
  const head = Uint32Array.of(sequences.length, ...sequences.map((ids) => ids.length))
  return Buffer.concat([head, ...sequences].map(tokenIdsToBytes))
}

export function bytesToSequences(stored: Uint8Array): readonly Uint32Array[] {
  const all = tokenIdsIn(stored)
  const count = all[0] ?? 0
  let at = 1 + count
  return Array.from(all.subarray(1, at), (length) => {
    at += length
    return all.slice(at - length, at)
  })
}
