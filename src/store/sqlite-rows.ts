// Values to columns and back. What is read was written here, so records are checked for shape only as far as a damaged file
// would show; errors name no content.

import { endianness } from 'node:os'
import { parseJson } from '../base/json.ts'
import type { Prompt, SessionRecord, WindowRecord } from '../base/records.ts'

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

export function blobAt(row: Row, column: number): Uint8Array {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw new Error(`column ${column} holds no blob`)
  return value
}

export function sessionAt(row: Row, column: number): SessionRecord {
  return objectIn(textAt(row, column)) as SessionRecord
}

export function windowAt(row: Row, column: number): WindowRecord {
  return objectIn(textAt(row, column)) as WindowRecord
}

export function promptAt(row: Row, column: number): Prompt {
  return objectIn(textAt(row, column)) as Prompt
}

/** Four bytes per id, least significant first on every machine. */
export function tokenIdsToBlob(tokenIds: Uint32Array): Uint8Array {
  const bytes = Buffer.from(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength)
  return bigEndian ? Buffer.from(bytes).swap32() : bytes
}

export function tokenIdsAt(row: Row, column: number): Uint32Array {
  const bytes = new Uint8Array(blobAt(row, column)) // a copy: a Uint32Array needs an aligned start
  if (bytes.byteLength % 4 !== 0) throw new Error(`column ${column} holds ${bytes.byteLength} bytes, not whole ids`)
  if (bigEndian) Buffer.from(bytes.buffer).swap32()
  return new Uint32Array(bytes.buffer)
}

function objectIn(text: string): object {
  const value = parseJson(text)
  // JSON.parse's own message would quote the text.
  if (typeof value !== 'object' || value === null) throw new Error('a stored record is not a JSON object')
  return value
}
