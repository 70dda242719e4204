import { describe, expect, it } from 'vitest'
import { idOf, KvStore, keysOf, type PlacementEvent } from './kv-store.ts'
import { settingsOf } from './options.ts'

const sequence = {
  token_ids: Array.from({ length: 600 }, (_, i) => i),
  model_name: 'm',
  world_size: 1,
  cache_salt: 's',
}
const { keys } = keysOf(sequence, 256)

function store(options: Parameters<typeof settingsOf>[0] = {}): { kv: KvStore; events: PlacementEvent[] } {
  const events: PlacementEvent[] = []
  return { kv: new KvStore(settingsOf(options), (more) => events.push(...more)), events }
}

describe("LMCache's store", () => {
  it('stores whole chunks, in L1 and in every adapter', () => {
    const { kv, events } = store()
    kv.store(sequence)

    expect(kv.restore(sequence)).toBe(512)
    expect(events.filter((event) => event.added)).toHaveLength(6)
  })

  it('restores the prefix before a gap, and prefetches across it', () => {
    const { kv } = store()
    kv.store(sequence)
    kv.clearL1()
    for (const adapter of ['fs', 'resp']) kv.deleteL2(keys.slice(0, 1), adapter)

    expect(kv.restore(sequence)).toBe(0)
    expect(kv.prefetch(keys)).toBe(1)
  })

  it('restores a chunk only if every rank has it', () => {
    const { kv } = store({ worldSize: 2, l2Adapters: [] })
    const ranked = { ...sequence, world_size: 2 }
    kv.store(ranked)
    const all = keysOf(ranked, 256).keys

    kv.deleteL1(all.slice(3), false)

    expect(all).toHaveLength(4)
    expect(kv.restore(ranked)).toBe(256)
  })

  it('emits events for evicted objects', () => {
    const { kv, events } = store({ chunkBytes: 10, l1Bytes: 10, l2Adapters: [] })
    kv.store(sequence)

    expect(events.map(({ added, tier }) => `${added ? '+' : '-'}${tier}`).sort()).toEqual(['+l1', '+l1', '-l1'])
    expect(kv.l1).toEqual({ objects: 1, bytes: 10 })
  })

  it('computes the same hashes under every salt, but different keys', () => {
    const other = keysOf({ ...sequence, cache_salt: 't' }, 256).keys

    expect(other.map((key) => key.chunk_hash_hex)).toEqual(keys.map((key) => key.chunk_hash_hex))
    expect(other[0]).not.toEqual(keys[0])
  })

  // L1Manager.reserve_write reserves space for everything that a prefetch found at once.
  it('prefetches nothing if L1 lacks space for everything found', () => {
    const { kv } = store({ chunkBytes: 10, l1Bytes: 20 })
    kv.store({ ...sequence, cache_salt: 't' })
    kv.store(sequence)
    kv.deleteL1(keys.slice(0, 1), false)
    kv.store({ ...sequence, token_ids: sequence.token_ids.slice(0, 256), cache_salt: 'u' })
    kv.deleteL1(keys, false)

    expect(kv.prefetch(keys)).toBe(0)
    kv.clearL1()
    expect(kv.prefetch(keys)).toBe(2)
  })

  it('deletes locked objects only with force', () => {
    const { kv } = store()
    kv.store(sequence)
    for (const key of kv.l1Keys()) kv.locked.add(idOf(key))

    expect(kv.deleteL1(keys, false)).toEqual({ deleted: 0, skipped: 2 })
    expect(kv.deleteL1(keys, true)).toEqual({ deleted: 2, skipped: 0 })
  })
})
