// The full keys of chunks, one per rank and object group, and where the directory has seen each. Deletions address these. Only the coordinator
// can name keys; cwm does not compute the servers' hash.

import type { Call, Endpoint } from './http.ts'
import { askDirectory, type Tier } from './lookup.ts'
import { directoryKeysSchema, type LookupAnswer, lookupSchema, type ObjectKeyAnswer } from './schemas.ts'
import { countChunks, type Sequence } from './sequence.ts'

/** LMCache's key of one rank's part of one chunk. */
export interface ObjectKey {
  /** Hex. Equal token sequences have equal hashes under every salt. */
  readonly hash: string
  readonly engineName: string
  readonly rank: number
  readonly group: number
  readonly salt: string
}

export interface KeyPlacement {
  readonly instanceId: string
  readonly tier: Tier
  readonly backend: string
  /** Bytes; 0 if the server did not report it. */
  readonly sizeBytes: number
}

/** A key, stored or not: see `placements`. */
export interface PlacedKey {
  readonly key: ObjectKey
  readonly placements: readonly KeyPlacement[]
}

export interface SaltScan {
  readonly keys: readonly PlacedKey[]
  /** False if there were more keys than may be read, or the directory shrank between two pages, so that some may be missing. */
  readonly complete: boolean
}

/** Keys per call, so that no server is blocked for long; far below LMCache's own limit. */
const batchKeys = 500
const pageKeys = 10_000
const defaultMaxKeys = 1_000_000

/** A key as text. */
export const keyId = ({ hash, engineName, rank, group, salt }: ObjectKey): string =>
  JSON.stringify([hash, engineName, salt, rank, group])

/** A key's chunk as text; all its ranks and object groups share it. */
export const chunkId = ({ hash, engineName, salt }: ObjectKey): string => JSON.stringify([hash, engineName, salt])

/** A key in LMCache's wire format. */
export const wireKey = ({ hash, engineName, rank, group, salt }: ObjectKey) => ({
  chunk_hash_hex: hash,
  model_name: engineName,
  kv_rank: rank,
  object_group_id: group,
  cache_salt: salt,
})

/** Every key of a sequence's whole chunks, in sequence order; none if it is shorter than one chunk. */
export async function findKeys(coordinator: Endpoint, sequence: Sequence, signal?: AbortSignal): Promise<PlacedKey[]> {
  if (countChunks(sequence) === 0) return []
  const { results } = await askDirectory(coordinator, sequence, signal)
  return results.map(placedKey)
}

/** What the directory shows of these keys now; keys without a placement are omitted. */
export async function findPlaced(
  coordinator: Endpoint,
  keys: readonly ObjectKey[],
  signal?: AbortSignal,
): Promise<PlacedKey[]> {
  const found: PlacedKey[] = []
  for (const batch of batches(keys)) {
    const body = JSON.stringify({ keys: batch.map(wireKey) })
    const call: Call<LookupAnswer> = { method: 'POST', path: '/directory/lookup', body, schema: lookupSchema, signal }
    const { results } = await coordinator.call(call)
    if (results.length !== batch.length) {
      throw coordinator.badAnswer(call, `returned ${results.length} keys instead of ${batch.length}`)
    }
    found.push(...results.map(placedKey).filter(({ placements }) => placements.length > 0))
  }
  return found
}

/**
 * Every placed key under one of these salts, read from the whole directory. It also finds keys that no known sequence names. All keys cross the
 * wire in pages (docs/engine-behavior.md#listing-keys), at most `maxKeys` (1,000,000).
 */
export async function findKeysOfSalts(
  coordinator: Endpoint,
  salts: ReadonlySet<string>,
  options: { readonly maxKeys?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<SaltScan> {
  if (salts.size === 0) return { keys: [], complete: true }
  const maxKeys = options.maxKeys ?? defaultMaxKeys
  // By id, because a page that shifted during the scan repeats keys.
  const found = new Map<string, PlacedKey>()
  let complete = true
  let before = 0
  for (let offset = 0; ; ) {
    const limit = Math.min(pageKeys, maxKeys - offset)
    if (limit <= 0) return { keys: [...found.values()], complete: false }
    const { total, keys } = await coordinator.call({
      method: 'GET',
      path: '/directory/keys',
      query: { offset: String(offset), limit: String(limit) },
      schema: directoryKeysSchema,
      signal: options.signal,
    })
    for (const result of keys) {
      if (salts.has(result.key.cache_salt)) found.set(keyId(keyOf(result.key)), placedKey(result))
    }
    if (total < before) complete = false
    before = total
    offset += keys.length
    if (keys.length === 0 || offset >= total) return { keys: [...found.values()], complete }
  }
}

/** The keys in batches of at most one call's size. */
export function batches<T>(keys: readonly T[]): T[][] {
  const portions: T[][] = []
  for (let at = 0; at < keys.length; at += batchKeys) portions.push(keys.slice(at, at + batchKeys))
  return portions
}

function keyOf(key: ObjectKeyAnswer): ObjectKey {
  return {
    hash: key.chunk_hash_hex,
    engineName: key.model_name,
    rank: key.kv_rank,
    group: key.object_group_id,
    salt: key.cache_salt,
  }
}

function placedKey({ key, placements }: LookupAnswer['results'][number]): PlacedKey {
  return {
    key: keyOf(key),
    placements: placements.map((p) => ({
      instanceId: p.instance_id,
      tier: p.tier === 'l1' ? 'l1' : 'l2',
      backend: p.backend,
      sizeBytes: p.size_bytes,
    })),
  }
}
