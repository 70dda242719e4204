// Sizes that the engine has counted of the prompt behind each delivered history. In this process alone: whoever does not find one here asks
// the engine.

import { LRUCache } from 'lru-cache'
import { ENTRY_BYTES, textBytes, valueBytes } from '../sessions/weights.ts'

/** The prompt of a delivered turn with its reply. */
export interface KnownSize {
  /** No later prompt has more tokens of it. */
  readonly tokens: number
  /** What else the prompt was made of: model, what stands beside the messages, and where they were cut. */
  readonly shape: string
}

export class KnownSizes {
  readonly #histories: LRUCache<string, KnownSize>

  /** `maxBytes`: of all histories, about 250 bytes each. */
  constructor(maxBytes: number) {
    this.#histories = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (size, boundary) => ENTRY_BYTES + textBytes(boundary) + valueBytes(size),
    })
  }

  /** The sizes are those of histories that end with this reply, under all the boundaries by which they are found again. */
  record(boundaries: readonly string[], size: KnownSize): void {
    for (const boundary of boundaries) this.#histories.set(boundary, size)
  }

  find(boundary: string): KnownSize | undefined {
    return this.#histories.get(boundary)
  }
}
