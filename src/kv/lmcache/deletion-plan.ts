// Plans a deletion: the keys of the given sequences and those that a scan of their salts finds, minus the keys that stay.

import type { Endpoint } from './http.ts'
import { chunkId, findKeys, findKeysOfSalts, keyId, type ObjectKey, type PlacedKey } from './keys.ts'
import { countChunks, type Sequence } from './sequence.ts'

export interface DeleteRequest {
  /** `from`: the first chunk to delete, counted from 0. Chunks before it stay for others, wherever else they are named. */
  readonly sequences: readonly { readonly sequence: Sequence; readonly from: number }[]
  /** Deletes everything under these salts that the directory shows and nobody keeps: turns that were edited or regenerated. */
  readonly salts?: ReadonlySet<string>
  /** What others hold: their chunks stay. */
  readonly keep?: readonly Sequence[]
}

/** A sequence and its keys to delete. */
export interface PlannedSequence {
  readonly sequence: Sequence
  readonly keys: readonly ObjectKey[]
}

export interface DeletionPlan {
  /** Each key once, with its placements before the deletion. */
  readonly keys: readonly PlacedKey[]
  /** Longest first. Sequences whose keys are all in longer ones are omitted. */
  readonly sequences: readonly PlannedSequence[]
  /** Chunks of the sequences that stay. */
  readonly keptChunks: number
  /** The scan of the salts was complete. */
  readonly complete: boolean
}

/** Throws `LMCACHE_UNREACHABLE` or `LMCACHE_BAD_ANSWER` if the coordinator cannot name the keys. */
export async function planDeletion(
  coordinator: Endpoint,
  request: DeleteRequest,
  signal?: AbortSignal,
): Promise<DeletionPlan> {
  const named = []
  for (const { sequence, from } of request.sequences) {
    named.push({ sequence, from, placed: await findKeys(coordinator, sequence, signal) })
  }
  const stays = new Set<string>()
  for (const { from, placed } of named) for (const id of leadingChunks(placed, from)) stays.add(id)
  for (const sequence of request.keep ?? []) {
    for (const { key } of await findKeys(coordinator, sequence, signal)) stays.add(chunkId(key))
  }
  const scan = await findKeysOfSalts(coordinator, request.salts ?? new Set(), { signal })

  const goes = ({ key }: PlacedKey) => !stays.has(chunkId(key))
  const keys = new Map<string, PlacedKey>()
  for (const placed of [...scan.keys, ...named.flatMap((one) => one.placed)].filter(goes)) {
    keys.set(keyId(placed.key), placed)
  }
  const ofSequences = new Set(named.flatMap(({ placed }) => placed.map(({ key }) => chunkId(key))))
  return {
    keys: [...keys.values()],
    sequences: distinctSequences(
      named.map(({ sequence, placed }) => ({ sequence, keys: placed.filter(goes).map(({ key }) => key) })),
    ),
    keptChunks: [...ofSequences].filter((id) => stays.has(id)).length,
    complete: scan.complete,
  }
}

/** The first `count` chunks of a sequence, by id. */
function leadingChunks(placed: readonly PlacedKey[], count: number): string[] {
  return [...new Set(placed.map(({ key }) => chunkId(key)))].slice(0, Math.max(0, count))
}

function distinctSequences(sequences: readonly PlannedSequence[]): PlannedSequence[] {
  const seen = new Set<string>()
  return [...sequences]
    .sort((a, b) => countChunks(b.sequence) - countChunks(a.sequence))
    .filter(({ keys }) => {
      const fresh = keys.some((key) => !seen.has(keyId(key)))
      for (const key of keys) seen.add(keyId(key))
      return fresh
    })
}
