// SHA-256 over a text that grows at its end.

import { createHash, type Hash, hash } from 'node:crypto'

/**
 * A text up to this length is kept, and hashed whole for each digest. Node's `Hash` is an object of C++ that the garbage collector has to
 * finalize, and a digest in the middle needs a copy of it: together they cost a turn of 4 KB 25 µs, hashing the text twice costs 8.
 */
const SHORT_CHARS = 16 * 1024

export class RunningDigest {
  #text = ''
  /** Has hashed the text, once that is longer. */
  #state: Hash | undefined

  /** Appends a text, which must be well formed: the hash reads UTF-8. */
  add(text: string): void {
    if (this.#state !== undefined) {
      this.#state.update(text)
      return
    }
    this.#text += text
    if (this.#text.length <= SHORT_CHARS) return
    this.#state = createHash('sha256').update(this.#text)
    this.#text = ''
  }

  /** The digest of all texts and this one behind them, in base64url. Changes nothing. */
  with(text = ''): string {
    if (this.#state === undefined) return hash('sha256', this.#text + text, 'base64url')
    return this.#state.copy().update(text).digest('base64url')
  }
}
