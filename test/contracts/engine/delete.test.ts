// Deletes chunks on a whole fleet with cwm's own client: what is deleted, what stays for others, and what is reported about the rest.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LmcacheClient } from '../../../src/kv/lmcache/client.ts'
import { discoverLmcache } from '../../../src/kv/lmcache/discover.ts'
import type { Sequence } from '../../../src/kv/lmcache/sequence.ts'
import { everywhere, idsOf, placed, placements, prefetch, sequence, warm } from './asks.ts'
import { longText, newSalt, openTarget, type Target } from './target.ts'

const CHUNKS = 3
const nothing = { deletedChunks: 0, residualChunks: 0, keptChunks: 0, warnings: [] }
let target: Target
let client: LmcacheClient
let ids: number[]

beforeAll(async () => {
  target = await openTarget()
  client = await clientOf(target)
  ids = await idsOf(target, longText(2000), CHUNKS * target.chunkSize + 100)
})

afterAll(() => target?.close())

async function clientOf({ urls }: Target): Promise<LmcacheClient> {
  const topology = await discoverLmcache({ coordinatorUrl: urls.coordinator, timeoutMs: 10_000 })
  return new LmcacheClient({ target: topology, timeoutMs: 10_000 })
}

const asWire = (of: Sequence) => sequence(target, [...of.tokenIds], of.salt)

function unstored(salt: string, tokenIds: readonly number[] = ids): Sequence {
  const { root: engineName, worldSize, chunkSize } = target
  return { tokenIds, salt, keys: { engineName, worldSize, chunkSize } }
}

/** Computes the sequence under the salt, and waits until the directory shows it on every tier. */
async function stored(salt: string, tokenIds: readonly number[] = ids): Promise<Sequence> {
  const known = unstored(salt, tokenIds)
  await warm(target, tokenIds, salt)
  await placed(target, asWire(known), everywhere(target))
  return known
}

/** Starts like the others, and differs from the second chunk on. */
async function forkedIds(): Promise<number[]> {
  const tail = await idsOf(target, longText(1500), 2 * target.chunkSize)
  return [...ids.slice(0, target.chunkSize), ...tail]
}

const whole = (of: Sequence) => ({ sequence: of, from: 0 })
const remove = (request: Parameters<LmcacheClient['deleteChunks']>[0]) =>
  client.deleteChunks(request, { deadlineMs: 15_000 })

describe('deleting the chunks of a sequence', () => {
  it('leaves no placement, and nothing for a prefetch to find', async () => {
    const one = await stored(newSalt())

    const result = await remove({ sequences: [whole(one)] })

    expect(result).toEqual({ ...nothing, deletedChunks: CHUNKS })
    expect((await placements(target, asWire(one))).flat()).toEqual([])
    expect((await prefetch(target, asWire(one))).found).toBe(0)
  })

  it('reports the same the second time, and for a sequence that was never stored', async () => {
    const one = await stored(newSalt())
    await remove({ sequences: [whole(one)] })

    expect(await remove({ sequences: [whole(one)] })).toEqual(nothing)
    expect(await remove({ sequences: [whole(unstored(newSalt()))] })).toEqual(nothing)
  })

  it('keeps the chunks before `from`', async () => {
    const one = await stored(newSalt())

    const result = await remove({ sequences: [{ sequence: one, from: 2 }] })

    expect(result).toEqual({ ...nothing, deletedChunks: 1, keptChunks: 2 })
    const left = await placements(target, asWire(one))
    expect(left.filter((places) => places.length > 0)).toHaveLength(2 * target.worldSize)
  })

  it('keeps chunks shared with another sequence of the same salt', async () => {
    const salt = newSalt()
    const one = await stored(salt)
    const other = await stored(salt, await forkedIds())

    const result = await remove({ sequences: [whole(one)], keep: [other] })

    expect(result).toEqual({ ...nothing, deletedChunks: CHUNKS - 1, keptChunks: 1 })
    await placed(target, asWire(other), everywhere(target))
  })

  it('keeps the same text under another salt', async () => {
    const one = await stored(newSalt())
    const other = await stored(newSalt())

    await remove({ sequences: [whole(one)] })

    await placed(target, asWire(other), everywhere(target))
  })

  it('deletes pinned chunks: servers do not know pins', async () => {
    const one = await stored(newSalt())
    await client.pin(one)

    const result = await remove({ sequences: [whole(one)] })
    await client.unpin(one)

    expect(result).toEqual({ ...nothing, deletedChunks: CHUNKS })
  })

  it('deletes chunks that only L2 has', async () => {
    const one = await stored(newSalt())
    await target.call('lmcache', 'POST', '/cache/clear', { tier: 'l1' })

    expect(await remove({ sequences: [whole(one)] })).toEqual({ ...nothing, deletedChunks: CHUNKS })
  })
})

describe('deleting all of a salt', () => {
  it('finds chunks of turns whose ids are no longer known', async () => {
    const salt = newSalt()
    await stored(salt)
    const edited = await stored(salt, await forkedIds())

    const result = await remove({ sequences: [], salts: new Set([salt]) })

    expect(result).toEqual({ ...nothing, deletedChunks: CHUNKS + 2 })
    expect((await prefetch(target, asWire(edited))).found).toBe(0)
  })

  it('keeps chunks that others of the salt hold', async () => {
    const salt = newSalt()
    const one = await stored(salt)
    const other = await stored(salt, await forkedIds())

    const result = await remove({ sequences: [whole(one)], salts: new Set([salt]), keep: [other] })

    expect(result).toEqual({ ...nothing, deletedChunks: CHUNKS - 1, keptChunks: 1 })
    await placed(target, asWire(other), everywhere(target))
  })
})
