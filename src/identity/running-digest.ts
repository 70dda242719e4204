// SHA-256 over a text that grows at its end.

import { createHash, type Hash, hash } from 'node:crypto'

/**
 * A text up to this length is kept, and hashed whole for each digest. Node's `Hash` is an object of C++ that the garbage collector has to
 * finalize, and a digest in the middle needs a copy of it: together they cost a turn of 4 KB 24 µs, hashing the text twice costs 11.
 */
const SHORT_CHARS = 16 * 1024
/** UTF-8 takes at most so many bytes for a UTF-16 code unit. */
const MAX_BYTES_PER_CHAR = 3
/** Parts of a long text are encoded here. Joining them first took longer than the hash: 1.5 ms of 512 KB, and a megabyte of garbage. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)

export class RunningDigest {
  #text = ''
  /** Has hashed the text, once that is longer. */
  #state: Hash | undefined

  /** Appends texts, each of which must be well formed: the hash reads UTF-8. */
  add(parts: readonly string[]): void {
    if (this.#state === undefined) {
      let chars = this.#text.length
      for (const { length } of parts) chars += length
      if (chars <= SHORT_CHARS) {
        this.#text += parts.join('')
        return
      }
      this.#state = createHash('sha256').update(this.#text)
      this.#text = ''
    }
    updateAll(this.#state, parts)
  }

  /** The digest of all texts and this one behind them, in base64url. Changes nothing. */
  with(text = ''): string {
    if (this.#state === undefined) return hash('sha256', this.#text + text, 'base64url')
    return this.#state.copy().update(text).digest('base64url')
  }
}

function updateAll(state: Hash, parts: readonly string[]): void {
  let used = 0
  for (const part of parts) {
    const most = MAX_BYTES_PER_CHAR * part.length
    if (used + most > scratch.length) {
      state.update(scratch.subarray(0, used))
      used = 0
    }
    if (most > scratch.length) state.update(part)
    else used += scratch.write(part, used)
  }
  state.update(scratch.subarray(0, used))
}
