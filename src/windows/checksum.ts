// Checksum and size of a window's content: what was frozen is what is thawed.

import { createHash } from 'node:crypto'
import type { WindowContent } from '../base/records.ts'

/** SHA-256 over prompt and ids, each with its length, base64url. */
export function checksumOf({ prompt, tokenIds }: WindowContent): string {
  const { dialect, model, messages, shaping } = prompt
  const text = JSON.stringify([1, dialect, model, messages, shaping])
  const bytes = Buffer.from(tokenIds.buffer, tokenIds.byteOffset, tokenIds.byteLength)
  return createHash('sha256')
    .update(`${text.length}:`)
    .update(text)
    .update(`${bytes.length}:`)
    .update(bytes)
    .digest('base64url')
}

/** Bytes that the content takes, as JSON and as ids of four bytes. */
export function bytesOf({ prompt, tokenIds }: WindowContent): number {
  return Buffer.byteLength(JSON.stringify(prompt)) + tokenIds.byteLength
}
