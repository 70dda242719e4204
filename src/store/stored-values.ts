// Converts JSON and token ids to bytes and back, for every store. Stored data was written here, so errors only report damage, never
// content.

import { endianness } from 'node:os'
import { parseJson } from '../base/json.ts'

const bigEndian = endianness() === 'BE'

/** The object of a stored JSON text. */
export function jsonIn<T>(text: string): T {
  const value = parseJson(text)
  // JSON.parse's own message would quote the text.
  if (typeof value !== 'object' || value === null) throw new Error('a stored record is not a JSON object')
  return value as T
}

/** As {@link jsonIn}, from UTF-8. */
export function jsonInBytes<T>(stored: Uint8Array): T {
  return jsonIn<T>(Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength).toString('utf8'))
}

/** Four bytes per id, little-endian on every machine. */
export function tokenIdsToBytes(tokenIds: Uint32Array): Uint8Array {
  const bytes = Buffer.from(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength)
  return bigEndian ? Buffer.from(bytes).swap32() : bytes
}

export function tokenIdsIn(stored: Uint8Array): Uint32Array {
  const bytes = new Uint8Array(stored) // a copy: a Uint32Array needs an aligned start
  if (bytes.byteLength % 4 !== 0) throw new Error(`${bytes.byteLength} bytes are not a whole number of ids`)
  if (bigEndian) Buffer.from(bytes.buffer).swap32()
  return new Uint32Array(bytes.buffer)
}
