// Retained turns in memory, bounded by bytes in all and fair by sharer. The oldest turns are compressed first, and only when memory fills
// up. An active session soon replaces its turn, and compressing every turn would cost more than the rest of cwm's work for it.

import { type FairEntry, FairMap } from '../base/fair-map.ts'
import { IDLE_MS } from '../store/retained-shares.ts'
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
  /** Maximum bytes of all turns. The sharer (a tenant, or a client address) with the most loses its oldest turn first. */
  readonly maxBytes: number
  /** Milliseconds. */
  readonly now: () => number
}

export class RetainedMemory {
  readonly #options: RetainedMemoryOptions
  readonly #turns: FairMap<HeldTurn>
  /** The turns that can still be compressed, oldest first. */
  readonly #plain = new Set<FairEntry<HeldTurn>>()
  #plainBytes = 0
  #packing: Promise<void> | undefined
  #credit = BURST_BYTES
  #creditAt: number

  constructor(options: RetainedMemoryOptions) {
    this.#options = options
    this.#creditAt = options.now()
    this.#turns = new FairMap({
      maxWeight: options.maxBytes,
      idleMs: IDLE_MS,
      now: options.now,
      onLeave: (entry) => {
        if (this.#plain.delete(entry)) this.#plainBytes -= entry.weight
      },
    })
  }

  /** Bytes of all turns. */
  get bytes(): number {
    return this.#turns.weight
  }

  /** Stores a turn under its session's key and drops the previous one, even if the new turn is too large to store. */
  set(sharer: string, key: string, turn: RetainedTurn): void {
    const body = ownBytes(turn.body)
    const held = new HeldTurn(body === turn.body ? turn : { ...turn, body })
    const entry = this.#turns.set(sharer, key, held, held.bytes)
    if (entry !== undefined && held.bodyBytes >= LEAST_BYTES) {
      this.#plain.add(entry)
      this.#plainBytes += held.bytes
    }
    this.#packOldest()
  }

  /** Returns the turn and marks it as its sharer's most recently used. */
  get(key: string): HeldTurn | undefined {
    return this.#turns.get(key)
  }

  delete(key: string): void {
    this.#turns.delete(key)
  }

  /** Resolves once no compression is running. */
  async settle(): Promise<void> {
    while (this.#packing !== undefined) await this.#packing
  }

  /** Compresses one turn at a time, so that the other three of Node's four threads stay free. */
  #packOldest(): void {
    if (this.#packing !== undefined || this.#plainBytes <= PLAIN_SHARE * this.#options.maxBytes) return
    const [oldest] = this.#plain
    if (oldest === undefined || !this.#takeCredit(oldest.weight)) return
    this.#packing = this.#pack(oldest).then(() => {
      this.#packing = undefined
      this.#packOldest()
    })
  }

  async #pack(entry: FairEntry<HeldTurn>): Promise<void> {
    const before = entry.weight
    await entry.value.pack()
    // The turn was dropped or replaced during the compression.
    if (!this.#plain.delete(entry)) return
    this.#plainBytes -= before
    this.#turns.shrink(entry, entry.value.bytes)
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
