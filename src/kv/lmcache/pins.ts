// Pins, unpins and lists the chunks of a sequence at the coordinator. A pin does not prove presence: see lookup.ts.

import type { Call, Endpoint } from './http.ts'
import { chunkMismatch } from './lookup.ts'
import { type PinListAnswer, pinListSchema, pinSchema } from './schemas.ts'
import { type ChunkKeys, countChunks, type Sequence, sequenceBody } from './sequence.ts'

/** `requested` counts chunks, `affected` keys (one per chunk and rank), stored or not. */
export interface PinResult {
  readonly requested: number
  readonly affected: number
}

const pageKeys = 5_000
const defaultMaxKeys = 1_000_000

/**
 * Pins (`POST`) or unpins (`DELETE`) every whole chunk. Pins are counted: each call needs its own opposite, and a call whose answer was lost may
 * have taken effect. The answer does not prove presence: docs/engine-behavior.md#pins.
 */
export async function changePins(
  coordinator: Endpoint,
  method: 'POST' | 'DELETE',
  sequence: Sequence,
  signal?: AbortSignal,
): Promise<PinResult> {
  const chunks = countChunks(sequence)
  if (chunks === 0) return { requested: 0, affected: 0 }
  const call = { method, path: '/cache/pins', body: sequenceBody(sequence), schema: pinSchema, signal } as const
  const { requested, affected } = await coordinator.call(call)
  if (requested !== chunks) throw coordinator.badAnswer(call, chunkMismatch(requested, chunks))
  return { requested, affected }
}

export interface PinFilter {
  readonly salt: string
  readonly keys: ChunkKeys
}

/**
 * Pins held under one salt: chunk hash to count, the minimum over the chunk's ranks. Chunks that lack a rank are omitted. Read in pages; pins
 * that change meanwhile may be missed. Throws `LMCACHE_BAD_ANSWER` beyond `maxKeys` keys (default 1,000,000). The salt is sent in the query:
 * docs/engine-behavior.md#pin-listing.
 */
export async function listPins(
  coordinator: Endpoint,
  filter: PinFilter,
  options: { readonly signal?: AbortSignal | undefined; readonly maxKeys?: number } = {},
): Promise<ReadonlyMap<string, number>> {
  const maxKeys = options.maxKeys ?? defaultMaxKeys
  const ranks = new Map<string, Map<number, number>>()
  for (let offset = 0; ; ) {
    const call: Call<PinListAnswer> = {
      method: 'GET',
      path: '/cache/pins',
      query: {
        cache_salt: filter.salt,
        model_name: filter.keys.engineName,
        offset: String(offset),
        limit: String(pageKeys),
      },
      schema: pinListSchema,
      signal: options.signal,
    }
    const { total, pins } = await coordinator.call(call)
    if (total > maxKeys) throw coordinator.badAnswer(call, `lists ${total} pinned keys, more than ${maxKeys}`)
    collect(pins, filter, ranks)
    offset += pins.length
    if (pins.length === 0 || offset >= total) return leastCounts(ranks, filter.keys.worldSize)
  }
}

/** Sets counts instead of adding them, because a page that shifted repeats keys. Filters again, because LMCache treats an empty salt as "all". */
function collect(pins: PinListAnswer['pins'], filter: PinFilter, ranks: Map<string, Map<number, number>>): void {
  for (const { key, pin_count } of pins) {
    if (key.cache_salt !== filter.salt || key.model_name !== filter.keys.engineName) continue
    // The rank's top byte is its world size (ObjectKey.ComputeKVRank), so pins from before a change of it are other keys.
    if (key.kv_rank >>> 24 !== (filter.keys.worldSize & 0xff)) continue
    const counts = ranks.get(key.chunk_hash_hex) ?? new Map<number, number>()
    counts.set(key.kv_rank, pin_count)
    ranks.set(key.chunk_hash_hex, counts)
  }
}

function leastCounts(ranks: Map<string, Map<number, number>>, worldSize: number): Map<string, number> {
  const least = new Map<string, number>()
  for (const [hash, counts] of ranks) {
    if (counts.size >= worldSize) least.set(hash, Math.min(...counts.values()))
  }
  return least
}
