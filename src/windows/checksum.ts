// Checksum and size of a window's content. A thaw verifies the checksum.

import { createHash } from 'node:crypto'
import type { WindowContent } from '../base/records.ts'

/** SHA-256 over prompt and ids, each preceded by its length, base64url. */
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

/** Size of the content in bytes: the prompt as JSON, and four bytes per id. */
export function bytesOf({ prompt, tokenIds }: WindowContent): number {
  return Buffer.byteLength(JSON.stringify(prompt)) + tokenIds.byteLength
}
