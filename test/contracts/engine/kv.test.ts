// LMCache's control plane: directory, pins, prefetches, deletion, and their surprises.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { everywhere, idsOf, keysOf, placed, placements, prefetch, type Sequence, sequence, warm } from './asks.ts'
import { field, list, longText, newSalt, openTarget, type Target } from './target.ts'

const CHUNKS = 3
let target: Target
let ids: number[]

beforeAll(async () => {
  target = await openTarget()
  ids = await idsOf(target, longText(2000), CHUNKS * target.chunkSize + 100)
})

afterAll(() => target?.close())

/** Computes a sequence under a new salt, and waits until the directory shows it on every tier. */
async function stored(): Promise<Sequence> {
  const key = sequence(target, ids, newSalt())
  await warm(target, ids, key.cache_salt)
  await placed(target, key, everywhere(target))
  return key
}

const never = (): Sequence => sequence(target, ids, newSalt())
const pins = (method: string, key: Sequence) => target.call('coordinator', method, '/cache/pins', key)

async function pinCounts(key: Sequence): Promise<unknown[]> {
  const { json } = await target.call('coordinator', 'GET', `/cache/pins?cache_salt=${key.cache_salt}`)
  return list(field(json, 'pins')).map((pin) => field(pin, 'pin_count'))
}

describe('the directory', () => {
  it('shows every whole chunk in L1 and in each L2 adapter', async () => {
    const key = await stored()

    expect(await placements(target, key)).toHaveLength(CHUNKS * target.worldSize)
  })

  // docs/engine-behavior.md#model-name
  it('shows no placement under the served name', async () => {
    const key = await stored()

    const all = await placements(target, { ...key, model_name: target.model })

    expect(all.flat()).toEqual([])
    expect(all).toHaveLength(CHUNKS * target.worldSize)
  })

  it('shows no placement under another salt', async () => {
    expect((await placements(target, never())).flat()).toEqual([])
  })

  it('loses L1 placements when L1 is cleared, and keeps L2', async () => {
    const key = await stored()

    await target.call('lmcache', 'POST', '/cache/clear', { tier: 'l1' })

    const l2 = everywhere(target).filter((place) => place.startsWith('l2'))
    await placed(target, key, l2)
  })

  // docs/engine-behavior.md#from-position-0
  it('does not find a sequence from the middle of another', async () => {
    const key = await stored()

    const middle = { ...key, token_ids: ids.slice(target.chunkSize) }

    expect((await placements(target, middle)).flat()).toEqual([])
  })
})

describe('pins', () => {
  it('are counted: each needs its own unpin', async () => {
    const key = never()
    const keys = CHUNKS * target.worldSize

    await pins('POST', key)
    await pins('POST', key)
    const twice = await pinCounts(key)
    await pins('DELETE', key)
    const once = await pinCounts(key)
    await pins('DELETE', key)

    expect(twice).toEqual(Array(keys).fill(2))
    expect(once).toEqual(Array(keys).fill(1))
    expect(await pinCounts(key)).toEqual([])
  })

  // docs/engine-behavior.md#pins
  it('are accepted for a sequence that was never stored', async () => {
    const key = never()

    const { json } = await pins('POST', key)
    await pins('DELETE', key)

    expect(json).toEqual({ requested: CHUNKS, affected: CHUNKS * target.worldSize, status: 'pinned' })
    expect((await placements(target, key)).flat()).toEqual([])
  })

  it('are a no-op below one chunk', async () => {
    const { json } = await pins('POST', { ...never(), token_ids: ids.slice(0, target.chunkSize - 1) })

    expect(json).toEqual({ requested: 0, affected: 0, status: 'pinned' })
  })

  it('are listed by salt, page by page', async () => {
    const key = never()
    await pins('POST', key)

    const page = await target.call('coordinator', 'GET', `/cache/pins?cache_salt=${key.cache_salt}&limit=2&offset=2`)
    await pins('DELETE', key)

    expect(field(page.json, 'total')).toBe(CHUNKS * target.worldSize)
    expect(list(field(page.json, 'pins'))).toHaveLength(Math.min(2, CHUNKS * target.worldSize - 2))
  })
})

describe('a prefetch', () => {
  it('is submitted, completed, and then unknown', async () => {
    const key = await stored()
    await target.call('lmcache', 'POST', '/cache/clear', { tier: 'l1' })

    const { path, found, total } = await prefetch(target, key)
    const again = await target.call('lmcache', 'GET', path)

    expect([found, total]).toEqual([CHUNKS * target.worldSize, CHUNKS * target.worldSize])
    expect(again.status).toBe(404)
    await placed(target, key, everywhere(target))
  })

  it('finds nothing of an unknown sequence', async () => {
    const { found, total } = await prefetch(target, never())

    expect([found, total]).toEqual([0, CHUNKS * target.worldSize])
  })

  it('is a no-op below one chunk', async () => {
    const short = { ...never(), token_ids: ids.slice(0, target.chunkSize - 1) }

    const { status, json } = await target.call('lmcache', 'POST', '/cache/prefetches', short)

    expect([status, json]).toEqual([202, { chunks: 0, status: 'noop' }])
  })

  it('goes through the coordinator to a named instance', async () => {
    const key = { ...(await stored()), instance_id: target.instance }

    const submitted = await target.call('coordinator', 'POST', '/cache/prefetches', key)

    expect(submitted.json).toMatchObject({ instance_id: target.instance, chunks: CHUNKS, status: 'submitted' })
  })
})

describe('deleting', () => {
  const del = (keys: readonly unknown[], rest: object) =>
    target.call('lmcache', 'DELETE', '/cache/objects', { keys, ...rest })

  it('from each adapter and L1 leaves no placement, and nothing for a prefetch to find', async () => {
    const key = await stored()
    const keys = await keysOf(target, key)

    for (const adapter of target.adapters) await del(keys, { tier: 'l2', adapter })
    const last = await del(keys, { tier: 'l1' })

    expect(last.json).toEqual({ deleted: CHUNKS * target.worldSize, skipped: 0, ok: true })
    await placed(target, key, [])
    expect((await prefetch(target, key)).found).toBe(0)
  })

  it('of one chunk keeps the others', async () => {
    const key = await stored()
    const [first, ...others] = await keysOf(target, key)

    for (const adapter of target.adapters) await del([first], { tier: 'l2', adapter })
    await del([first], { tier: 'l1' })

    expect((await prefetch(target, key)).found).toBe(others.length)
  })

  // docs/engine-behavior.md#coordinator-delete
  it('by the coordinator keeps what other adapters have', async () => {
    const key = await stored()

    await target.call('coordinator', 'POST', '/cache/delete', { ...key, instance_id: target.instance, tier: 'all' })

    const left = target.adapters.slice(1).map((name) => `l2 ${name}`)
    await placed(target, key, left)
    expect((await prefetch(target, key)).found).toBe(left.length > 0 ? CHUNKS * target.worldSize : 0)
  })

  it('by the coordinator skips pinned chunks', async () => {
    const key = await stored()
    await pins('POST', key)

    const request = { ...key, instance_id: target.instance, tier: 'all' }
    const { json } = await target.call('coordinator', 'POST', '/cache/delete', request)
    await pins('DELETE', key)

    expect(json).toMatchObject({ requested: CHUNKS, affected: 0, skipped: CHUNKS * target.worldSize })
    expect(await placements(target, key)).toEqual(Array(CHUNKS * target.worldSize).fill(everywhere(target).sort()))
  })
})
