// HMAC-SHA-256 (RFC 2104) by single calls of the hash.

import { hash } from 'node:crypto'

/** Bytes of a block of SHA-256. */
const BLOCK_BYTES = 64

/**
 * The same as `createHmac('sha256', key)` (hmac.test.ts compares them). That makes two objects which the garbage collector has to finalize,
 * and each session that begins needs one: 13 µs of its first turn, and 3 so.
 */
export class HmacSha256 {
  readonly #inner: Buffer
  readonly #outer: Buffer

  constructor(key: Buffer) {
    const block = Buffer.alloc(BLOCK_BYTES)
    const short = key.length > BLOCK_BYTES ? hash('sha256', key, 'buffer') : key
    short.copy(block)
    this.#inner = block.map((byte) => byte ^ 0x36) as Buffer
    this.#outer = block.map((byte) => byte ^ 0x5c) as Buffer
  }

  /** In base64url. */
  of(text: string): string {
    const inner = hash('sha256', Buffer.concat([this.#inner, Buffer.from(text)]), 'buffer')
    return hash('sha256', Buffer.concat([this.#outer, inner]), 'base64url')
  }
}
