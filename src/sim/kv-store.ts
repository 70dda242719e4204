// What one LMCache server holds: chunks in L1 and in each L2 adapter, and the events that tell the coordinator of them.
// Keys know model, rank, chunk and salt, neither adapter nor dtype, as LMCache's do.

import { chainHashes } from './hashes.ts'
import { Lru } from './lru.ts'
import type { SimSettings } from './options.ts'

/** A chunk's key on the wire. */
export interface ObjectKey {
  readonly chunk_hash_hex: string
  readonly model_name: string
  readonly kv_rank: number
  readonly object_group_id: number
  readonly cache_salt: string
}

export interface PlacementEvent {
  readonly added: boolean
  readonly key: ObjectKey
  readonly tier: 'l1' | 'l2'
  readonly backend: string
}

/** What addresses a sequence of tokens in LMCache. */
export interface SequenceKey {
  readonly token_ids: readonly number[]
  readonly model_name: string
  readonly world_size: number
  readonly cache_salt: string
}

export const idOf = (key: ObjectKey): string =>
  JSON.stringify([key.chunk_hash_hex, key.model_name, key.kv_rank, key.object_group_id, key.cache_salt])

/** The keys of every whole chunk, rank by rank within each chunk. */
export function keysOf(sequence: SequenceKey, chunkSize: number): { keys: ObjectKey[]; chunks: number } {
  // The hash itself does not know the salt (recorded: the same hashes under two salts).
  const hashes = chainHashes(sequence.token_ids, chunkSize, '')
  const world = sequence.world_size
  const keys = hashes.flatMap((hash) =>
    Array.from({ length: world }, (_, rank) => ({
      chunk_hash_hex: hash,
      model_name: sequence.model_name,
      kv_rank: world * 2 ** 24 + rank * 2 ** 16 + world * 2 ** 8 + rank,
      object_group_id: 0,
      cache_salt: sequence.cache_salt,
    })),
  )
  return { keys, chunks: hashes.length }
}

export class KvStore {
  /** False while the server is down: the engine then neither finds nor stores anything. */
  up = true
  readonly #settings: SimSettings
  readonly #emit: (events: PlacementEvent[]) => void
  readonly #l1: Lru<ObjectKey>
  readonly #l2: Map<string, Lru<ObjectKey>>

  constructor(settings: SimSettings, emit: (events: PlacementEvent[]) => void) {
    this.#settings = settings
    this.#emit = emit
    const evicted = (tier: 'l1' | 'l2', backend: string) => (_: string, key: ObjectKey) =>
      this.#emit([{ added: false, key, tier, backend }])
    this.#l1 = new Lru(settings.l1Bytes, evicted('l1', 'dram'))
    this.#l2 = new Map(settings.l2Adapters.map((name) => [name, new Lru(settings.l2Bytes, evicted('l2', name))]))
  }

  get l1(): { objects: number; bytes: number } {
    return { objects: this.#l1.size, bytes: this.#l1.weight }
  }

  /** Whole chunks of a prompt go to L1 and through to every adapter. */
  store(sequence: SequenceKey): void {
    if (!this.up) return
    for (const key of keysOf(sequence, this.#settings.chunkSize).keys) {
      this.#place('l1', 'dram', this.#l1, key)
      for (const [name, objects] of this.#l2) this.#place('l2', name, objects, key)
    }
  }

  /** Tokens at the head of the sequence that some tier holds for every rank; they are in L1 afterwards. */
  restore(sequence: SequenceKey): number {
    if (!this.up) return 0
    const { keys } = keysOf(sequence, this.#settings.chunkSize)
    let found = 0
    while (found < keys.length && this.#load(keys[found])) found++
    return Math.floor(found / sequence.world_size) * this.#settings.chunkSize
  }

  /** Brings what L2 holds into L1; answers how many of the keys are in L1 then (all of them looked at, not only a prefix). */
  prefetch(keys: readonly ObjectKey[]): number {
    for (const key of keys) this.#load(key)
    // What did not fit, or was pushed out again by its neighbours, is not there: trap 11.
    return keys.filter((key) => this.#l1.has(idOf(key))).length
  }

  /** How many keys L1 held. */
  deleteL1(keys: readonly ObjectKey[]): number {
    return keys.filter((key) => this.#remove('l1', 'dram', this.#l1, key)).length
  }

  /** Deletes from one adapter, the first if none is named; undefined if there is none of that type. */
  deleteL2(keys: readonly ObjectKey[], adapter: string | undefined): number | undefined {
    const name = adapter ?? this.#settings.l2Adapters[0]
    const objects = name === undefined ? undefined : this.#l2.get(name)
    if (name === undefined || objects === undefined) return undefined
    for (const key of keys) this.#remove('l2', name, objects, key)
    return keys.length
  }

  clearL1(): void {
    const gone = this.#l1.values()
    this.#l1.clear()
    this.#emit(gone.map((key) => ({ added: false, key, tier: 'l1', backend: 'dram' })))
  }

  #load(key: ObjectKey | undefined): boolean {
    if (key === undefined) return false
    const id = idOf(key)
    if (this.#l1.get(id) !== undefined) return true
    const found = [...this.#l2.values()].filter((objects) => objects.get(id) !== undefined).length > 0
    if (found) this.#place('l1', 'dram', this.#l1, key)
    return found
  }

  #place(tier: 'l1' | 'l2', backend: string, objects: Lru<ObjectKey>, key: ObjectKey): void {
    const id = idOf(key)
    const known = objects.has(id)
    if (objects.set(id, key, this.#settings.chunkBytes) && !known) this.#emit([{ added: true, key, tier, backend }])
  }

  #remove(tier: 'l1' | 'l2', backend: string, objects: Lru<ObjectKey>, key: ObjectKey): boolean {
    const had = objects.delete(idOf(key))
    if (had) this.#emit([{ added: false, key, tier, backend }])
    return had
  }
}
