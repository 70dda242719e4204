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
  /** Its adapter is declared as shared (`"shared": true`): one placement, whichever server reports it. */
  readonly shared?: boolean
}

/** An object, and the KV data type that it was written in. Keys do not contain that. */
export interface StoredObject {
  readonly key: ObjectKey
  readonly dtype: string
}

/** An adapter's storage. Several servers may use the same one. */
export type L2Storage = Lru<StoredObject>

/** One adapter of one server. */
interface L2Adapter {
  readonly objects: L2Storage
  /** Ids of the keys that this server stored. It reports deletions of these only (native_connector_l2_adapter.py, `_key_sizes`). */
  readonly mine: Set<string>
  readonly declaredShared: boolean
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
  readonly #l1: Lru<StoredObject>
  readonly #l2: Map<string, L2Adapter>
  #evicting: NodeJS.Timeout | undefined

  /** `shared`: the storage of adapters that other servers use too, by adapter type. */
  constructor(
    settings: SimSettings,
    emit: (events: PlacementEvent[]) => void,
    shared: ReadonlyMap<string, L2Storage> = new Map(),
  ) {
    this.#settings = settings
    this.dtype = settings.dtype
    this.#emit = emit
    this.#l1 = new Lru(settings.l1Bytes, (_, { key }) =>
      this.#emit([{ added: false, key, tier: 'l1', backend: 'dram' }]),
    )
    this.#l2 = new Map(settings.l2Adapters.map((name) => [name, this.#adapter(name, shared.get(name))]))
  }

  get l1(): { objects: number; bytes: number } {
    return { objects: this.#l1.size, bytes: this.#l1.weight }
  }

  /**
   * Stores the whole chunks of a prompt in L1 and in every adapter, except those of the first `restored` tokens: what was loaded from an
   * adapter is not written to the others (store_controller.py, `on_l1_keys_finish_write_and_reserve_read`). An existing object of another
   * data type stays unchanged.
   */
  store(sequence: SequenceKey, restored = 0): void {
    if (!this.up) return
    const { chunkSize } = this.#settings
    const known = Math.floor(restored / chunkSize) * sequence.world_size
    for (const key of keysOf(sequence, chunkSize).keys.slice(known)) {
      const existing = this.#l1.get(idOf(key)) ?? this.#inL2(key)
      if (existing !== undefined && existing.dtype !== this.dtype) continue
      this.#placeL1(key)
      for (const name of this.#l2.keys()) this.#placeL2(name, key)
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
    const readable = keys.filter((key) => this.#isReadable(key))
    const missing = readable.filter((key) => !this.#l1.has(idOf(key)))
    // L1 reserves space for all of them or for none (L1Manager.reserve_write), and evicts nothing to make room.
    const fits = this.#l1.weight + missing.length * this.#settings.chunkBytes <= this.#settings.l1Bytes
    for (const key of fits ? missing : []) this.#load(key)
    return readable.filter((key) => this.#l1.has(idOf(key))).length
  }

  /** Deletes keys from L1; `skipped` counts the locked ones. */
  deleteL1(keys: readonly ObjectKey[], force: boolean): { deleted: number; skipped: number } {
    const locked = force ? [] : keys.filter((key) => this.locked.has(idOf(key)) && this.#l1.has(idOf(key)))
    const free = keys.filter((key) => !locked.includes(key))
    const deleted = free.filter((key) => this.#l1.delete(idOf(key)))
    this.#emit(deleted.map((key) => ({ added: false, key, tier: 'l1', backend: 'dram' })))
    return { deleted: deleted.length, skipped: locked.length }
  }

  /** Deletes from one adapter, by default the first. Returns the number of requested keys; undefined if there is no such adapter. */
  deleteL2(keys: readonly ObjectKey[], adapter: string | undefined): number | undefined {
    const name = adapter ?? this.#settings.l2Adapters[0]
    if (name === undefined || !this.#l2.has(name)) return undefined
    if (!this.#settings.undeletableAdapters.includes(name)) {
      for (const key of keys) this.#removeL2(name, key)
    }
    return keys.length
  }

  /** Drops an adapter's objects without events, as a Redis that restarts without its data does. */
  loseL2(name: string): void {
    const adapter = this.#l2.get(name)
    adapter?.objects.clear()
    adapter?.mine.clear()
  }

  /** The keys in L1. */
  l1Keys(): ObjectKey[] {
    return this.#l1.values().map(({ key }) => key)
  }

  /** The bytes of a salt in all adapters. */
  l2BytesOf(salt: string): number {
    const objects = [...this.#l2.values()].flatMap((adapter) => adapter.objects.values())
    return objects.filter(({ key }) => key.cache_salt === salt).length * this.#settings.chunkBytes
  }

  /** IsolatedLRU evicts periodically, not on each store. Objects without a quota survive until then. */
  evictSoon(): void {
    if (!this.#settings.isolatedLru || this.#evicting !== undefined) return
    this.#evicting = setTimeout(() => {
      this.#evicting = undefined
      for (const [name, { objects }] of this.#l2) {
        const unknown = objects.values().filter(({ key }) => (this.quotas.get(key.cache_salt) ?? 0) === 0)
        for (const { key } of unknown) this.#removeL2(name, key)
      }
    }, this.#settings.eventFlushMs)
    this.#evicting.unref()
  }

  clearL1(): void {
    const gone = this.l1Keys()
    this.#l1.clear()
    this.#emit(gone.map((key) => ({ added: false, key, tier: 'l1', backend: 'dram' })))
  }

  #adapter(name: string, shared: L2Storage | undefined): L2Adapter {
    const mine = new Set<string>()
    const evict = (id: string, { key }: StoredObject) => {
      mine.delete(id)
      this.#emit([{ added: false, key, tier: 'l2', backend: name }])
    }
    const declaredShared = this.#settings.declaredShared.includes(name)
    return { objects: shared ?? new Lru(this.#settings.l2Bytes, evict), mine, declaredShared }
  }

  #load(key: ObjectKey | undefined): boolean {
    if (key === undefined || !this.#isReadable(key)) return false
    if (this.#l1.get(idOf(key)) === undefined) this.#placeL1(key)
    return true
  }

  /** The directory lists objects of another data type, but no lookup loads them: docs/engine-behavior.md#dtype. */
  #isReadable(key: ObjectKey): boolean {
    return (this.#l1.get(idOf(key)) ?? this.#inL2(key))?.dtype === this.dtype
  }

  #inL2(key: ObjectKey): StoredObject | undefined {
    const id = idOf(key)
    return [...this.#l2.values()].map(({ objects }) => objects.get(id)).find((object) => object !== undefined)
  }

  #placeL1(key: ObjectKey): void {
    const id = idOf(key)
    const known = this.#l1.has(id)
    const placed = this.#l1.set(id, { key, dtype: this.dtype }, this.#settings.chunkBytes)
    if (placed && !known) this.#emit([{ added: true, key, tier: 'l1', backend: 'dram' }])
  }

  #placeL2(name: string, key: ObjectKey): void {
    const adapter = this.#l2.get(name)
    const id = idOf(key)
    if (!adapter?.objects.set(id, { key, dtype: this.dtype }, this.#settings.chunkBytes)) return
    if (!adapter.mine.has(id)) this.#emit([this.#l2Event(true, name, adapter, key)])
    adapter.mine.add(id)
  }

  #removeL2(name: string, key: ObjectKey): void {
    const adapter = this.#l2.get(name)
    const existed = adapter?.objects.delete(idOf(key)) === true
    if (adapter?.mine.delete(idOf(key)) && existed) this.#emit([this.#l2Event(false, name, adapter, key)])
  }

  #l2Event(added: boolean, backend: string, { declaredShared }: L2Adapter, key: ObjectKey): PlacementEvent {
    return { added, key, tier: 'l2', backend, ...(declaredShared && { shared: true }) }
  }
}
