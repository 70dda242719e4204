// Retained turns in memory, bounded by bytes. Those that were used longest ago are compressed first, and only when memory fills up: a
// session at work replaces its turn soon, and compressing each turn would cost more than all else that cwm does for it.

import { LRUCache } from 'lru-cache'
import { HeldTurn, ownBytes, type RetainedTurn } from './retained-turn.ts'

/**
 * Smaller bodies stay as they are. Compressing 4 KB takes about 40 µs of the main thread and some more of another, and saves 2.5 KB. A
 * server of short chats would do that with every one of them.
 */
const LEAST_BYTES = 16 * 1024
/** Nothing is compressed until the turns that could be take up more than this share of the budget. */
const PLAIN_SHARE = 1 / 4
/**
 * What is compressed at once, and per second from then on: half a second of one core, then 6% of it (130 MiB a second on text). A flood
 * of new sessions costs no more. Turns that this does not reach stay as they are, and the oldest of all are dropped.
 */
export const BURST_BYTES = 64 * 1024 * 1024
const BYTES_PER_SECOND = 8 * 1024 * 1024

export interface RetainedMemoryOptions {
  /** Of all turns together; those that were used longest ago go first. */
  readonly maxBytes: number
  /** Milliseconds. */
  readonly now: () => number
}

export class RetainedMemory {
  readonly #options: RetainedMemoryOptions
  /** By session. No `Map` in order of use: V8 skips all that was deleted before the oldest each time that one is asked for. */
  readonly #turns: LRUCache<string, HeldTurn>
  /** Those of them that can still be compressed, the oldest first. */
  readonly #plain = new Set<HeldTurn>()
  #bytes = 0
  #plainBytes = 0
  #packing: Promise<void> | undefined
  #credit = BURST_BYTES
  #creditAt: number

  constructor(options: RetainedMemoryOptions) {
    this.#options = options
    this.#creditAt = options.now()
    // Bounded by bytes here, because a turn that is compressed takes up less from then on, which the cache cannot know.
    this.#turns = new LRUCache({ maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: () => 1 })
  }

  /** What all turns take up, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Keeps a turn in place of the one before it, which is gone even if this one is too large to be kept. */
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

  /** The turn, which now is the one used last. */
  get(key: string): HeldTurn | undefined {
    return this.#turns.get(key)
  }

  delete(key: string): void {
    const held = this.#turns.peek(key)
    if (held === undefined) return
    this.#turns.delete(key)
    this.#leave(held)
  }

  /** It is no longer among the turns. */
  #leave(held: HeldTurn | undefined): void {
    if (held === undefined) return
    this.#bytes -= held.bytes
    if (this.#plain.delete(held)) this.#plainBytes -= held.bytes
  }

  /** Resolves when nothing is being compressed. */
  async settle(): Promise<void> {
    while (this.#packing !== undefined) await this.#packing
  }

  /** One at a time, so that the others of Node's four threads stay free. */
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
    // Otherwise it was dropped or replaced meanwhile.
    if (!this.#plain.delete(held)) return
    this.#plainBytes -= before
    this.#bytes += held.bytes - before
  }

  /** Whether so much may be compressed now. */
  #takeCredit(bytes: number): boolean {
    const now = this.#options.now()
    const earned = Math.max(0, ((now - this.#creditAt) / 1000) * BYTES_PER_SECOND)
    this.#credit = Math.min(BURST_BYTES, this.#credit + earned)
    this.#creditAt = now
    // It may go below zero, or a turn of more than the burst would never be compressed.
    if (this.#credit <= 0) return false
    this.#credit -= bytes
    return true
  }
}
