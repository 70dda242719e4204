// Bytes of a chunk, from the sizes that the directory has for each of its keys.

import { describe, expect, it } from 'vitest'
import { LookupResult } from './lookup.ts'
import type { LookupAnswer } from './schemas.ts'

type Key = LookupAnswer['results'][number]

function key(hash: string, rank: number, ...sizes: readonly number[]): Key {
  return {
    key: { chunk_hash_hex: hash, model_name: './m', kv_rank: rank, object_group_id: 0, cache_salt: 's' },
    placements: sizes.map((size, at) => ({
      instance_id: 'a',
      tier: at === 0 ? 'l1' : 'l2',
      backend: at === 0 ? 'dram' : 'fs',
      size_bytes: size,
    })),
  }
}

const bytesOf = (worldSize: number, ...keys: readonly Key[]) =>
  new LookupResult({ total: 2, l1: 0, l2: 0, backends: {} }, [...keys], worldSize).chunkBytes

describe('chunkBytes', () => {
  it('is the sum over the ranks of one chunk, whatever number of copies each has', () => {
    expect(bytesOf(2, key('a', 0, 100, 100), key('a', 1, 100), key('b', 0, 100), key('b', 1, 100))).toBe(200)
  })

  it('is of the first chunk that is whole and whose keys all have a size', () => {
    expect(bytesOf(2, key('a', 0, 100), key('b', 0, 100), key('b', 1, 0), key('c', 0, 70), key('c', 1, 70))).toBe(140)
  })

  it('is null if no chunk has a size', () => {
    expect(bytesOf(1, key('a', 0, 0), key('b', 0))).toBeNull()
    expect(bytesOf(1)).toBeNull()
  })
})
