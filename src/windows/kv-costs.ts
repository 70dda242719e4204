// Measured costs of each model's KV: bytes per token in the KV layer, and tokens per second that an engine computes. The figures come from
// operations that run anyway. They are kept in memory only, so they are unknown after a start.

import { LRUCache } from 'lru-cache'
import type { Placement } from '../kv/kv.ts'

/** Models, and pairs of engine and model. */
const MAX_KNOWN = 1_000
/** Shorter prefills are mostly the time of the request itself. */
const MIN_COMPUTED_TOKENS = 512
/** With a larger cached share, the time measures the cache instead. */
const MAX_CACHED_SHARE = 0.1
/** Weight of a new measurement. Prefill slows down with length and load, so a single rate is an approximation. */
const WEIGHT = 0.25

/** A prompt that an engine has processed, with the engine's own counts. */
export interface SeenPrefill {
  readonly computedTokens: number | null
  readonly cachedTokens: number | null
  /** From the dispatch to the first token, milliseconds. */
  readonly ms: number | null
}

export class KvCosts {
  readonly #bytes = new LRUCache<string, number>({ max: MAX_KNOWN })
  readonly #rates = new LRUCache<string, number>({ max: MAX_KNOWN })

  /** Learns from where a sequence of the model was found. */
  sawChunks(engineName: string, chunkSize: number, { chunkBytes }: Pick<Placement, 'chunkBytes'>): void {
    if (chunkBytes !== null && chunkSize > 0) this.#bytes.set(engineName, chunkBytes / chunkSize)
  }

  /** Bytes of KV per token, all ranks together. Undefined until chunks of the model were seen with their size. */
  bytesPerToken(engineName: string): number | undefined {
    return this.#bytes.get(engineName)
  }

  /** Learns only from prompts that were computed almost whole. */
  sawPrefill(engine: string, model: string, { computedTokens, cachedTokens, ms }: SeenPrefill): void {
    if (computedTokens === null || cachedTokens === null || ms === null || ms <= 0) return
    if (computedTokens < MIN_COMPUTED_TOKENS || cachedTokens > MAX_CACHED_SHARE * computedTokens) return
    const rate = computedTokens / (ms / 1_000)
    const key = keyOf(engine, model)
    const known = this.#rates.get(key)
    this.#rates.set(key, known === undefined ? rate : known + WEIGHT * (rate - known))
  }

  /** Tokens per second, queueing in the engine included. Undefined until a prompt was seen. */
  prefillRate(engine: string, model: string): number | undefined {
    return this.#rates.get(keyOf(engine, model))
  }
}

function keyOf(engine: string, model: string): string {
  return JSON.stringify([engine, model])
}
