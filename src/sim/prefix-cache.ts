// The engine's own prefix cache: whole blocks under hashes chained over salt, adapter and tokens, with LRU eviction. A request always
// computes its last token: docs/engine-behavior.md#last-token.

import { chainHashes } from './hashes.ts'
import { Lru } from './lru.ts'

export interface CacheSpace {
  readonly salt: string
  /** Name of a LoRA adapter, or '' for the base model. */
  readonly adapter: string
}

export class PrefixCache {
  readonly #blocks: Lru<true>
  readonly #blockSize: number

  constructor(blockSize: number, capacity: number) {
    this.#blockSize = blockSize
    this.#blocks = new Lru(capacity)
  }

  /** The number of leading tokens of `ids` that are cached. */
  match(ids: readonly number[], space: CacheSpace): number {
    const hashes = chainHashes(ids.slice(0, -1), this.#blockSize, seedOf(space))
    const miss = hashes.findIndex((hash) => this.#blocks.get(hash) === undefined)
    return (miss < 0 ? hashes.length : miss) * this.#blockSize
  }

  /** Caches every whole block of `ids`. */
  insert(ids: readonly number[], space: CacheSpace): void {
    // The tail is inserted first, so that it is evicted before the head that it depends on.
    for (const hash of chainHashes(ids, this.#blockSize, seedOf(space)).reverse()) this.#blocks.set(hash, true)
  }

  clear(): void {
    this.#blocks.clear()
  }
}

const seedOf = (space: CacheSpace): string => JSON.stringify([space.salt, space.adapter])
