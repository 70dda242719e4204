// Asks the coordinator's directory where the chunks of a sequence are. This does not decide whether they exist.

import type { TierCounts } from '../../base/records.ts'
import type { Call, Endpoint } from './http.ts'
import { type LookupAnswer, lookupSchema } from './schemas.ts'
import { countChunks, type Sequence, sequenceBody } from './sequence.ts'

/** `l1`: an LMCache server's memory. `l2`: an adapter behind it. */
export type Tier = 'l1' | 'l2'

/** Where one whole chunk is stored with all its ranks. */
export interface ChunkPlacement {
  /** Hex, as LMCache writes it. */
  readonly hash: string
  readonly tiers: readonly Tier[]
  /** L2 adapters that hold every rank of it (`fs`, `resp`, …), sorted. */
  readonly backends: readonly string[]
}

/** One placement in the directory. */
export type FoundPlacement = LookupAnswer['results'][number]['placements'][number]

export class LookupResult {
  readonly counts: TierCounts
  /** Bytes of a whole chunk with all its ranks; null if no chunk has a size. */
  readonly chunkBytes: number | null
  /** In sequence order; empty if there is nothing to look up or no coordinator. */
  readonly chunks: readonly ChunkPlacement[]
  readonly #answer: LookupAnswer['results']
  readonly #worldSize: number

  constructor(counts: TierCounts, answer: LookupAnswer['results'], worldSize: number) {
    const groups = groupByHash(answer)
    this.chunks = [...groups].map(([hash, keys]) => placeChunk(hash, keys, worldSize))
    this.chunkBytes = chunkBytesOf(groups.values(), worldSize)
    this.counts = answer.length === 0 ? counts : countTiers(this.chunks, counts.total)
    this.#answer = answer
    this.#worldSize = worldSize
  }

  /** The same lookup, as if only these placements existed. */
  within(keep: (placement: FoundPlacement) => boolean): LookupResult {
    const kept = this.#answer.map((result) => ({ ...result, placements: result.placements.filter(keep) }))
    return new LookupResult(this.counts, kept, this.#worldSize)
  }
}

/** The result for a sequence shorter than one chunk, or for an LMCache without a coordinator (`known` false). */
export function emptyLookup(total: number, known: boolean): LookupResult {
  return new LookupResult({ total, l1: known ? 0 : null, l2: known ? 0 : null, backends: {} }, [], 1)
}

/**
 * Looks up the whole chunks of a sequence in the directory. Zero does not prove absence (docs/engine-behavior.md#directory): only a
 * prefetch, or a warm call's `cached_tokens`, does.
 */
export async function lookupChunks(
  coordinator: Endpoint,
  sequence: Sequence,
  signal?: AbortSignal,
): Promise<LookupResult> {
  const total = countChunks(sequence)
  if (total === 0) return emptyLookup(0, true)
  const { results } = await askDirectory(coordinator, sequence, signal)
  return new LookupResult({ total, l1: 0, l2: 0, backends: {} }, results, sequence.keys.worldSize)
}

/** The directory's own answer for a sequence of at least one chunk. */
export async function askDirectory(
  coordinator: Endpoint,
  sequence: Sequence,
  signal?: AbortSignal,
): Promise<LookupAnswer> {
  const total = countChunks(sequence)
  const call = {
    method: 'POST',
    path: '/directory/lookup',
    body: sequenceBody(sequence),
    schema: lookupSchema,
    signal,
  } as const satisfies Call<LookupAnswer>
  const answer = await coordinator.call(call)
  if (answer.chunks !== total) throw coordinator.badAnswer(call, chunkMismatch(answer.chunks, total))
  return answer
}

/** See docs/engine-behavior.md#one-chunk-size. */
export function chunkMismatch(counted: number, expected: number): string {
  return (
    `counted ${counted} chunks instead of ${expected}: ` +
    "the coordinator's --chunk-size must equal the servers'; discover again if theirs has changed"
  )
}

/** Of the first chunk whose keys all have a size. The directory has 0 where a tier reports none. */
function chunkBytesOf(groups: Iterable<LookupAnswer['results']>, worldSize: number): number | null {
  for (const keys of groups) {
    const sizes = keys.map(({ placements }) => Math.max(0, ...placements.map((placement) => placement.size_bytes)))
    if (new Set(keys.map(({ key }) => key.kv_rank)).size < worldSize || sizes.includes(0)) continue
    return sizes.reduce((sum, size) => sum + size, 0)
  }
  return null
}

function groupByHash(answer: LookupAnswer['results']): Map<string, LookupAnswer['results']> {
  const byHash = new Map<string, LookupAnswer['results']>()
  for (const result of answer) {
    const known = byHash.get(result.key.chunk_hash_hex)
    if (known === undefined) byHash.set(result.key.chunk_hash_hex, [result])
    else known.push(result)
  }
  return byHash
}

/** A chunk is only loaded as a whole, so a tier or backend counts if it has every one of the chunk's keys (rank, object group). */
function placeChunk(hash: string, keys: LookupAnswer['results'], worldSize: number): ChunkPlacement {
  if (new Set(keys.map((result) => result.key.kv_rank)).size < worldSize) return { hash, tiers: [], backends: [] }
  const inAll = (of: (p: { tier: string; backend: string }) => string | undefined): string[] => {
    const perKey = keys.map((result) => new Set(result.placements.map(of)))
    return [...(perKey[0] ?? [])].filter(
      (name) => name !== undefined && perKey.every((names) => names.has(name)),
    ) as string[]
  }
  const tiers = inAll((p) => p.tier)
  return {
    hash,
    tiers: (['l1', 'l2'] as const).filter((tier) => tiers.includes(tier)),
    backends: inAll((p) => (p.tier === 'l2' ? p.backend : undefined)).sort(),
  }
}

function countTiers(chunks: readonly ChunkPlacement[], total: number): TierCounts {
  const backends: Record<string, number> = {}
  for (const name of chunks.flatMap((chunk) => chunk.backends)) backends[name] = (backends[name] ?? 0) + 1
  const within = (tier: Tier) => chunks.filter((chunk) => chunk.tiers.includes(tier)).length
  return { total, l1: within('l1'), l2: within('l2'), backends }
}
