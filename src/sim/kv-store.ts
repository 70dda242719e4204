// The contents of one LMCache server: chunks in L1 and in each L2 adapter, and the events sent to the coordinator. Keys have LMCache's
// fields: docs/engine-behavior.md#chunk-keys.

import { chainHashes } from './hashes.ts'
import { Lru } from './lru.ts'
import type { SimSettings } from './options.ts'

/** A chunk's key in the format of the API. */
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

/** The fields that identify a sequence of tokens in LMCache. */
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
  // The hash excludes the salt: docs/engine-behavior.md#chunk-keys.
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
  /** The engine's current KV data type. */
  dtype: string
  /** L1 keys that a store or load currently uses. Only a forced delete removes them. */
  readonly locked = new Set<string>()
  /** Quota bytes per salt and adapter; only `isolatedLru` enforces them. */
  readonly quotas = new Map<string, number>()
  readonly #settings: SimSettings
  readonly #emit: (events: PlacementEvent[]) => void
  readonly #l1: Lru<ObjectKey>
  readonly #l2: Map<string, Lru<ObjectKey>>
  /** The data type of each object, by the id of its key. */
  readonly #writtenIn = new Map<string, string>()
  #evicting: NodeJS.Timeout | undefined

  constructor(settings: SimSettings, emit: (events: PlacementEvent[]) => void) {
    this.#settings = settings
    this.dtype = settings.dtype
    this.#emit = emit
    const evicted = (tier: 'l1' | 'l2', backend: string) => (_: string, key: ObjectKey) =>
      this.#emit([{ added: false, key, tier, backend }])
    this.#l1 = new Lru(settings.l1Bytes, evicted('l1', 'dram'))
    this.#l2 = new Map(settings.l2Adapters.map((name) => [name, new Lru(settings.l2Bytes, evicted('l2', name))]))
  }

  get l1(): { objects: number; bytes: number } {
    return { objects: this.#l1.size, bytes: this.#l1.weight }
  }

  /** Stores the whole chunks of a prompt in L1 and in every adapter. An existing object of another data type stays unchanged. */
  store(sequence: SequenceKey): void {
    if (!this.up) return
    for (const key of keysOf(sequence, this.#settings.chunkSize).keys) {
      const id = idOf(key)
      if ((this.#l1.has(id) || this.#inL2(key)) && !this.#isReadable(id)) continue
      this.#writtenIn.set(id, this.dtype)
      this.#place('l1', 'dram', this.#l1, key)
      for (const [name, objects] of this.#l2) this.#place('l2', name, objects, key)
    }
    this.evictSoon()
  }

  /** The number of leading tokens that some tier has for every rank. Loads them into L1. */
  restore(sequence: SequenceKey): number {
    if (!this.up) return 0
    const { keys } = keysOf(sequence, this.#settings.chunkSize)
    let found = 0
    while (found < keys.length && this.#load(keys[found])) found++
    return Math.floor(found / sequence.world_size) * this.#settings.chunkSize
  }

  /** Loads objects from L2 into L1. Returns how many of the keys are then in L1; all keys count, not only a prefix. */
  prefetch(keys: readonly ObjectKey[]): number {
    const readable = keys.filter((key) => this.#isReadable(idOf(key)))
    const missing = readable.filter((key) => !this.#l1.has(idOf(key)) && this.#inL2(key))
    // L1 reserves space for all of them or for none (L1Manager.reserve_write), and evicts nothing to make room.
    const fits = this.#l1.weight + missing.length * this.#settings.chunkBytes <= this.#settings.l1Bytes
    for (const key of fits ? missing : []) this.#load(key)
    return readable.filter((key) => this.#l1.has(idOf(key))).length
  }

  /** Deletes keys from L1; `skipped` counts the locked ones. */
  deleteL1(keys: readonly ObjectKey[], force: boolean): { deleted: number; skipped: number } {
    const locked = force ? [] : keys.filter((key) => this.locked.has(idOf(key)) && this.#l1.has(idOf(key)))
    const free = keys.filter((key) => !locked.includes(key))
    const deleted = free.filter((key) => this.#remove('l1', 'dram', this.#l1, key)).length
    return { deleted, skipped: locked.length }
  }

  /** Deletes from one adapter, by default the first. Returns the number of requested keys; undefined if there is no such adapter. */
  deleteL2(keys: readonly ObjectKey[], adapter: string | undefined): number | undefined {
    const name = adapter ?? this.#settings.l2Adapters[0]
    const objects = name === undefined ? undefined : this.#l2.get(name)
    if (name === undefined || objects === undefined) return undefined
    if (!this.#settings.undeletableAdapters.includes(name)) {
      for (const key of keys) this.#remove('l2', name, objects, key)
    }
    return keys.length
  }

  /** Drops an adapter's objects without events, as a Redis that restarts without its data does. */
  loseL2(adapter: string): void {
    this.#l2.get(adapter)?.clear()
  }

  /** The keys in L1. */
  l1Keys(): ObjectKey[] {
    return this.#l1.values()
  }

  /** The bytes of a salt in all adapters. */
  l2BytesOf(salt: string): number {
    const objects = [...this.#l2.values()].flatMap((one) => one.values())
    return objects.filter((key) => key.cache_salt === salt).length * this.#settings.chunkBytes
  }

  /** IsolatedLRU evicts periodically, not on each store. Objects without a quota survive until then. */
  evictSoon(): void {
    if (!this.#settings.isolatedLru || this.#evicting !== undefined) return
    this.#evicting = setTimeout(() => {
      this.#evicting = undefined
      for (const [name, objects] of this.#l2) {
        const unknown = objects.values().filter((key) => (this.quotas.get(key.cache_salt) ?? 0) === 0)
        for (const key of unknown) this.#remove('l2', name, objects, key)
      }
    }, this.#settings.eventFlushMs)
    this.#evicting.unref()
  }

  clearL1(): void {
    const gone = this.#l1.values()
    this.#l1.clear()
    this.#emit(gone.map((key) => ({ added: false, key, tier: 'l1', backend: 'dram' })))
  }

  #load(key: ObjectKey | undefined): boolean {
    if (key === undefined || !this.#isReadable(idOf(key))) return false
    if (this.#l1.get(idOf(key)) !== undefined) return true
    const found = this.#inL2(key)
    if (found) this.#place('l1', 'dram', this.#l1, key)
    return found
  }

  /** The directory lists objects of another data type, but no lookup loads them: docs/engine-behavior.md#dtype. */
  #isReadable(id: string): boolean {
    return this.#writtenIn.get(id) === this.dtype
  }

  #inL2(key: ObjectKey): boolean {
    const id = idOf(key)
    return [...this.#l2.values()].filter((objects) => objects.get(id) !== undefined).length > 0
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
