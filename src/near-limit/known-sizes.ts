// Caches the engine's token counts of delivered histories. The cache is local to this process; on a miss the engine is asked.

import { LRUCache } from 'lru-cache'
import { ENTRY_BYTES, textBytes, valueBytes } from '../sessions/heap-size.ts'

/** The size of a delivered turn's prompt with its reply. */
export interface KnownSize {
  /** An upper bound: no later prompt uses more tokens for this history. */
  readonly tokens: number
  /** What else shaped the prompt: model, fields beside the messages, and the cut. */
  readonly shape: string
}

export class KnownSizes {
  readonly #histories: LRUCache<string, KnownSize>

  /** `maxBytes`: for all histories, about 250 bytes each. */
  constructor(maxBytes: number) {
    this.#histories = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (size, boundary) => ENTRY_BYTES + textBytes(boundary) + valueBytes(size),
    })
  }

  /** Records the size of a history under each boundary by which it may be found again. */
  record(boundaries: readonly string[], size: KnownSize): void {
    for (const boundary of boundaries) this.#histories.set(boundary, size)
  }

  find(boundary: string): KnownSize | undefined {
    return this.#histories.get(boundary)
  }
}
