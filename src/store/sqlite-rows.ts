// Values to columns and back. What is read was written here, so records are checked for shape only as far as a damaged file
// would show; errors name no content.

import { endianness } from 'node:os'
import { parseJson } from '../base/json.ts'
import type { WindowRecord } from '../base/records.ts'
import { type Kept, keep, type Place, reveal, type Sealer } from './seal.ts'

/** A row as libsql's raw mode gives it: text, number, null, or a Buffer. */
export type Row = readonly unknown[]

const bigEndian = endianness() === 'BE'

export function textAt(row: Row, column: number): string {
  const value = row[column]
  if (typeof value !== 'string') throw new Error(`column ${column} holds no text`)
  return value
}

export function numberAt(row: Row, column: number): number {
  const value = row[column]
  if (typeof value !== 'number') throw new Error(`column ${column} holds no number`)
  return value
}

/** A key id and the bytes beside it. */
export function keptAt(row: Row, column: number): Kept {
  const bytes = row[column + 1]
  if (!(bytes instanceof Uint8Array)) throw new Error(`column ${column + 1} holds no blob`)
  return { keyId: numberAt(row, column), bytes }
}

/** A record that was stored as JSON text. */
export function recordAt<T extends object>(row: Row, column: number): T {
  return objectIn(textAt(row, column)) as T
}

/** JSON bytes back to the object that they were made from. */
export function jsonIn<T extends object>(bytes: Uint8Array): T {
  return objectIn(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as T
}

/** Four bytes per id, least significant first on every machine. */
export function tokenIdsToBytes(tokenIds: Uint32Array): Uint8Array {
  const bytes = Buffer.from(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength)
  return bigEndian ? Buffer.from(bytes).swap32() : bytes
}

export function tokenIdsIn(stored: Uint8Array): Uint32Array {
  const bytes = new Uint8Array(stored) // a copy: a Uint32Array needs an aligned start
  if (bytes.byteLength % 4 !== 0) throw new Error(`${bytes.byteLength} bytes are not whole ids`)
  if (bigEndian) Buffer.from(bytes.buffer).swap32()
  return new Uint32Array(bytes.buffer)
}

/** A window as two columns: the record without its words, and the words (reason and note), which may quote its messages. */
export interface WindowColumns {
  readonly record: string
  readonly words: Kept | undefined
}

export function windowToColumns(window: WindowRecord, sealer: Sealer | undefined): WindowColumns {
  const { reason, note, ...record } = window
  const spoken = reason !== undefined || note !== undefined
  return {
    record: JSON.stringify(record),
    words: spoken ? keep(sealer, Buffer.from(JSON.stringify({ reason, note })), wordsPlace(window)) : undefined,
  }
}

/** From the columns record, key_id, words, which stand beside each other. */
export function windowAt(row: Row, column: number, sealer: Sealer | undefined): WindowRecord {
  const record = recordAt<WindowRecord>(row, column)
  if (row[column + 2] === null) return record
  return { ...record, ...jsonIn(reveal(sealer, keptAt(row, column + 1), wordsPlace(record))) }
}

export function wordsPlace({ tenant, name, id }: Pick<WindowRecord, 'tenant' | 'name' | 'id'>): Place {
  return ['words', tenant, name, id]
}

export function promptPlace(tenant: string, name: string, id: string): Place {
  return ['prompt', tenant, name, id]
}

export function tokenIdsPlace(tenant: string, name: string, id: string): Place {
  return ['token_ids', tenant, name, id]
}

export function sequencePlace(tenant: string, deletion: string, place: number): Place {
  return ['sequence', tenant, deletion, String(place)]
}

export function retainedPlace(tenant: string, sessionId: string): Place {
  return ['retained', tenant, sessionId]
}

function objectIn(text: string): object {
  const value = parseJson(text)
  // JSON.parse's own message would quote the text.
  if (typeof value !== 'object' || value === null) throw new Error('a stored record is not a JSON object')
  return value
}
