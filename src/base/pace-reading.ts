// Receives large request bodies in pieces, so that one that comes at full speed leaves the event loop to other requests.

import type { IncomingMessage } from 'node:http'

/** libuv would read up to 2 MiB from a socket in one iteration of the event loop. */
const PIECE_BYTES = 256 * 1024

/** Counts the bytes of one body, and pauses its request after each 256 KiB until the next iteration of the event loop. */
export class ReadingPace {
  readonly #request: Pick<IncomingMessage, 'pause' | 'resume'>
  #piece = 0

  constructor(request: Pick<IncomingMessage, 'pause' | 'resume'>) {
    this.#request = request
  }

  /** Call it with the length of each chunk. */
  count(bytes: number): void {
    this.#piece += bytes
    if (this.#piece < PIECE_BYTES) return
    this.#piece = 0
    this.#request.pause()
    setImmediate(() => this.#request.resume())
  }
}
