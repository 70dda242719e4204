// Retained turns in memory, bounded by bytes. The least recently used turns are compressed first, and only when memory fills up. An active
// session soon replaces its turn, and compressing every turn would cost more than the rest of cwm's work for it.

import { LRUCache } from 'lru-cache'
import { HeldTurn, ownBytes, type RetainedTurn } from './retained-turn.ts'

/**
 * Smaller bodies are not compressed. Compressing 4 KB takes about 40 µs on the main thread, and more on another one, to save 2.5 KB. A
 * server with short chats would pay that for every turn.
 */
const LEAST_BYTES = 16 * 1024
/** Compression starts when the compressible turns take up more than this share of the budget. */
const PLAIN_SHARE = 1 / 4
/**
 * How much may be compressed in one burst, and per second after it: half a second of one core, then 6% of it (text compresses at 130 MiB
 * per second). This limits the cost of a flood of new sessions. Other turns stay uncompressed, and the oldest turns are dropped.
 */
export const BURST_BYTES = 64 * 1024 * 1024
const BYTES_PER_SECOND = 8 * 1024 * 1024

export interface RetainedMemoryOptions {
  /** Maximum bytes of all turns. The least recently used turns are dropped first. */
  readonly maxBytes: number
  /** Milliseconds. */
  readonly now: () => number
}

export class RetainedMemory {
  readonly #options: RetainedMemoryOptions
  /** By session. Not a `Map` in order of use: to find its oldest entry, V8 skips all deleted entries before it, every time. */
  readonly #turns: LRUCache<string, HeldTurn>
  /** The turns that can still be compressed, oldest first. */
  readonly #plain = new Set<HeldTurn>()
  #bytes = 0
  #plainBytes = 0
  #packing: Promise<void> | undefined
  #credit = BURST_BYTES
  #creditAt: number

  constructor(options: RetainedMemoryOptions) {
    this.#options = options
    this.#creditAt = options.now()
    // This class bounds the bytes, because the cache would not notice that a turn shrinks when it is compressed.
    this.#turns = new LRUCache({ maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: () => 1 })
  }

  /** Bytes of all turns. */
  get bytes(): number {
    return this.#bytes
  }

  /** Stores a turn and drops the session's previous one, even if the new turn is too large to store. */
  set(key: string, turn: RetainedTurn): void {
    this.delete(key)
    const { maxBytes } = this.#options
    const body = ownBytes(turn.body)
    const held = new HeldTurn(body === turn.body ? turn : { ...turn, body })
    if (held.bytes > maxBytes) return
    this.#turns.set(key, held)
    this.#bytes += held.bytes
    if (held.bodyBytes >= LEAST_BYTES) {
      this.#plain.add(held)
      this.#plainBytes += held.bytes
    }
    while (this.#bytes > maxBytes && this.#turns.size > 0) this.#leave(this.#turns.pop())
    this.#packOldest()
  }

  /** Returns the turn and marks it as the most recently used. */
  get(key: string): HeldTurn | undefined {
    return this.#turns.get(key)
  }

  delete(key: string): void {
    const held = this.#turns.peek(key)
    if (held === undefined) return
    this.#turns.delete(key)
    this.#leave(held)
  }

  /** Subtracts a removed turn from the totals. */
  #leave(held: HeldTurn | undefined): void {
    if (held === undefined) return
    this.#bytes -= held.bytes
    if (this.#plain.delete(held)) this.#plainBytes -= held.bytes
  }

  /** Resolves once no compression is running. */
  async settle(): Promise<void> {
    while (this.#packing !== undefined) await this.#packing
  }

  /** Compresses one turn at a time, so that the other three of Node's four threads stay free. */
  #packOldest(): void {
    if (this.#packing !== undefined || this.#plainBytes <= PLAIN_SHARE * this.#options.maxBytes) return
    const [oldest] = this.#plain
    if (oldest === undefined || !this.#takeCredit(oldest.bytes)) return
    this.#packing = this.#pack(oldest).then(() => {
      this.#packing = undefined
      this.#packOldest()
    })
  }

  async #pack(held: HeldTurn): Promise<void> {
    const before = held.bytes
    await held.pack()
    // The turn was dropped or replaced during the compression.
    if (!this.#plain.delete(held)) return
    this.#plainBytes -= before
    this.#bytes += held.bytes - before
  }

  /** Whether this many bytes may be compressed now. If so, charges them. */
  #takeCredit(bytes: number): boolean {
    const now = this.#options.now()
    const earned = Math.max(0, ((now - this.#creditAt) / 1000) * BYTES_PER_SECOND)
    this.#credit = Math.min(BURST_BYTES, this.#credit + earned)
    this.#creditAt = now
    // The credit may go below zero. Otherwise a turn larger than the burst would never be compressed.
    if (this.#credit <= 0) return false
    this.#credit -= bytes
    return true
  }
}
