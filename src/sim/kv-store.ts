// What one LMCache server holds: chunks in L1 and in each L2 adapter, and the events that tell the coordinator of them.
// Keys hold what LMCache's hold: docs/engine-behavior.md#chunk-keys.

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
  // Without the salt: docs/engine-behavior.md#chunk-keys.
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
  /** What the engine computes KV in now. */
  dtype: string
  /** L1 keys that a store or a load is at work on: they are deleted by force only. */
  readonly locked = new Set<string>()
  /** Bytes per salt in each adapter; without `isolatedLru` nobody looks. */
  readonly quotas = new Map<string, number>()
  readonly #settings: SimSettings
  readonly #emit: (events: PlacementEvent[]) => void
  readonly #l1: Lru<ObjectKey>
  readonly #l2: Map<string, Lru<ObjectKey>>
  /** What each object was written in, by the id of its key. */
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

  /** Whole chunks of a prompt go to L1 and through to every adapter. One of another dtype under the same key stays as it is. */
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
    const readable = keys.filter((key) => this.#isReadable(idOf(key)))
    const missing = readable.filter((key) => !this.#l1.has(idOf(key)) && this.#inL2(key))
    // L1 reserves the room for all of them at once or for none (L1Manager.reserve_write), and evicts nothing for it.
    const fits = this.#l1.weight + missing.length * this.#settings.chunkBytes <= this.#settings.l1Bytes
    for (const key of fits ? missing : []) this.#load(key)
    return readable.filter((key) => this.#l1.has(idOf(key))).length
  }

  /** Keys that went from L1, and those refused because they are locked. */
  deleteL1(keys: readonly ObjectKey[], force: boolean): { deleted: number; skipped: number } {
    const locked = force ? [] : keys.filter((key) => this.locked.has(idOf(key)) && this.#l1.has(idOf(key)))
    const free = keys.filter((key) => !locked.includes(key))
    const deleted = free.filter((key) => this.#remove('l1', 'dram', this.#l1, key)).length
    return { deleted, skipped: locked.length }
  }

  /** Deletes from one adapter, the first if none is named; undefined if there is none of that type. Counts what was asked. */
  deleteL2(keys: readonly ObjectKey[], adapter: string | undefined): number | undefined {
    const name = adapter ?? this.#settings.l2Adapters[0]
    const objects = name === undefined ? undefined : this.#l2.get(name)
    if (name === undefined || objects === undefined) return undefined
    if (!this.#settings.keepingAdapters.includes(name)) {
      for (const key of keys) this.#remove('l2', name, objects, key)
    }
    return keys.length
  }

  /** Loses what an adapter holds without a word, as a Redis that is restarted without its data. */
  loseL2(adapter: string): void {
    this.#l2.get(adapter)?.clear()
  }

  /** The keys in L1. */
  l1Keys(): ObjectKey[] {
    return this.#l1.values()
  }

  /** Bytes under a salt, over all adapters. */
  l2BytesOf(salt: string): number {
    const objects = [...this.#l2.values()].flatMap((one) => one.values())
    return objects.filter((key) => key.cache_salt === salt).length * this.#settings.chunkBytes
  }

  /** IsolatedLRU looks once in a while, not at each store: what has no quota stands until then. */
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

  /** The directory shows an object of another dtype, and no look-up loads it: docs/engine-behavior.md#dtype. */
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
