import { http } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { recordedBody, replay } from '../../../test/contracts/kv/recorded.ts'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { LmcacheClient, type LmcacheTarget } from './client.ts'
import type { Sequence } from './sequence.ts'

const mock = setupServer()
beforeAll(() => mock.listen({ onUnhandledRequest: 'error' }))
afterEach(() => mock.resetHandlers())
afterAll(() => mock.close())

const coordinatorUrl = 'http://coordinator.test:9300'
const keys = { engineName: './model', worldSize: 1, chunkSize: 256 }
const server = {
  instanceId: 'node-a',
  url: 'http://node-a.test:8080',
  reachable: true,
  registered: true,
  engines: [keys],
  backends: ['fs', 'resp'],
  isolatedLru: false,
}
const salt = savedSalt()

const client = (target: Partial<LmcacheTarget> = {}) =>
  new LmcacheClient({ target: { coordinatorUrl, pins: true, servers: [server], ...target }, timeoutMs: 5_000 })
const serverOnly = () => new LmcacheClient({ target: { pins: false, servers: [server] }, timeoutMs: 5_000 })

const sequence = (change: Partial<Sequence> = {}): Sequence => ({
  tokenIds: Uint32Array.from({ length: 1046 }, (_, i) => i),
  salt,
  keys,
  ...change,
})

describe('lookup', () => {
  it('sends only whole chunks and counts chunks per tier and L2 adapter', async () => {
    let sent: JsonValue = null
    mock.use(
      http.post(`${coordinatorUrl}/directory/lookup`, async ({ request }) => {
        sent = (await request.json()) as JsonValue
        return replay('lookup, stored')
      }),
    )

    const { counts, chunks } = await client().lookup(sequence())

    expect(sent).toEqual({
      token_ids: Array.from({ length: 1024 }, (_, i) => i),
      model_name: './model',
      world_size: 1,
      cache_salt: salt,
    })
    expect(counts).toEqual({ total: 4, l1: 4, l2: 4, backends: { fs: 4, resp: 4 } })
    expect(chunks).toHaveLength(4)
    expect(chunks[0]).toEqual({
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      tiers: ['l1', 'l2'],
      backends: ['fs', 'resp'],
    })
    expect(JSON.stringify(chunks)).not.toContain(salt)
  })

  it('returns zero for chunks unknown to the directory', async () => {
    mock.use(http.post(`${coordinatorUrl}/directory/lookup`, () => replay('lookup, other salt')))

    const { counts } = await client().lookup(sequence())

    expect(counts).toEqual({ total: 4, l1: 0, l2: 0, backends: {} })
  })

  // The recorded answer for two ranks without placements, with placements added in the real format: an engine here has only one rank.
  it('counts a chunk in a tier only if every rank of it is present', async () => {
    const placed = (placements: readonly (readonly [string, string])[]) =>
      placements.map(([tier, backend]) => ({ instance_id: 'node-a', tier, backend, size_bytes: 1, shared: false }))
    const all = placed([['l1', 'dram'], ['l2', 'fs'], ['l2', 'resp']]) // biome-ignore format: one line reads better
    const perKey = [
      [all, all],
      [all, placed([['l2', 'fs']])],
      [placed([['l2', 'fs']]), placed([['l2', 'resp']])],
      [all, []],
    ].flat()
    const body = recordedBody('lookup, two ranks')
    const results = (body.results as readonly JsonObject[]).map((result, i) => ({
      ...result,
      placements: perKey[i] ?? [],
    }))
    mock.use(http.post(`${coordinatorUrl}/directory/lookup`, () => replay('lookup, two ranks', { results })))

    const { counts, chunks } = await client().lookup(sequence({ keys: { ...keys, worldSize: 2 } }))

    expect(counts).toEqual({ total: 4, l1: 1, l2: 3, backends: { fs: 2, resp: 1 } })
    expect(chunks.map((chunk) => chunk.tiers)).toEqual([['l1', 'l2'], ['l2'], ['l2'], []])
  })

  it('does not count a chunk if the answer lacks one of its ranks', async () => {
    mock.use(http.post(`${coordinatorUrl}/directory/lookup`, () => replay('lookup, stored')))

    const { counts } = await client().lookup(sequence({ keys: { ...keys, worldSize: 2 } }))

    expect(counts).toEqual({ total: 4, l1: 0, l2: 0, backends: {} })
  })

  it('rejects the answer of a coordinator with another chunk size', async () => {
    mock.use(http.post(`${coordinatorUrl}/directory/lookup`, () => replay('lookup, stored')))

    await expect(client().lookup(sequence({ keys: { ...keys, chunkSize: 128 } }))).rejects.toMatchObject({
      code: 'LMCACHE_BAD_ANSWER',
      message: expect.stringContaining('counted 4 chunks instead of 8'),
    })
  })

  it('returns no placement without a coordinator', async () => {
    const { counts, chunks } = await serverOnly().lookup(sequence())

    expect(counts).toEqual({ total: 4, l1: null, l2: null, backends: {} })
    expect(chunks).toEqual([])
  })
})

describe('pins', () => {
  it('pins and unpins with the sequence in the body', async () => {
    const seen: string[] = []
    const note = async ({ request }: { request: Request }) => {
      const body = (await request.json()) as { cache_salt: string; token_ids: number[] }
      expect(new URL(request.url).search).toBe('')
      expect(body.cache_salt).toBe(salt)
      seen.push(`${request.method} ${body.token_ids.length}`)
      return replay(request.method === 'POST' ? 'pin' : 'unpin')
    }
    mock.use(http.post(`${coordinatorUrl}/cache/pins`, note), http.delete(`${coordinatorUrl}/cache/pins`, note))

    expect(await client().pin(sequence())).toEqual({ requested: 4, affected: 4 })
    expect(await client().unpin(sequence())).toEqual({ requested: 4, affected: 4 })
    expect(seen).toEqual(['POST 1024', 'DELETE 1024'])
  })

  it('lists the pin counts of one salt by chunk hash', async () => {
    mock.use(http.get(`${coordinatorUrl}/cache/pins`, () => replay('pins, counted')))

    const pins = await client().listPins({ salt, keys })

    expect([...pins.values()]).toEqual([2, 2, 2, 2])
    expect([...pins.keys()][0]).toMatch(/^[0-9a-f]{64}$/)
  })

  it('reads all pages, filtered by its salt and engine', async () => {
    const all = recordedBody('pins, counted').pins as readonly JsonObject[]
    const asked: string[] = []
    mock.use(
      http.get(`${coordinatorUrl}/cache/pins`, ({ request }) => {
        const query = new URL(request.url).searchParams
        expect([query.get('cache_salt'), query.get('model_name')]).toEqual([salt, './model'])
        const offset = Number(query.get('offset'))
        asked.push(String(offset))
        return replay('pins, counted', { pins: all.slice(offset, offset + 3) })
      }),
    )

    const pins = await client().listPins({ salt, keys })

    expect(asked).toEqual(['0', '3'])
    expect(pins.size).toBe(4)
  })

  it('stops at an empty page, and rejects more keys than requested', async () => {
    mock.use(http.get(`${coordinatorUrl}/cache/pins`, () => replay('pins, counted', { pins: [], total: 7 })))

    expect(await client().listPins({ salt, keys })).toEqual(new Map())
    await expect(client().listPins({ salt, keys }, { maxKeys: 6 })).rejects.toMatchObject({
      code: 'LMCACHE_BAD_ANSWER',
      message: expect.not.stringContaining(salt),
    })
  })

  it('omits keys of another salt or world size, and chunks that lack a rank', async () => {
    mock.use(http.get(`${coordinatorUrl}/cache/pins`, () => replay('pins, counted')))

    expect((await client().listPins({ salt: 'another', keys })).size).toBe(0)
    expect((await client().listPins({ salt, keys: { ...keys, worldSize: 2 } })).size).toBe(0)
  })

  it('reports that pins need a coordinator', async () => {
    const bare = serverOnly()

    expect(bare.pins).toBe(false)
    await expect(bare.pin(sequence())).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    await expect(bare.listPins({ salt, keys })).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
  })
})

it('makes no call for a sequence shorter than one chunk', async () => {
  const short = sequence({ tokenIds: Array.from({ length: 255 }, () => 7) })

  expect(await client().lookup(short)).toEqual({
    chunkBytes: null,
    counts: { total: 0, l1: 0, l2: 0, backends: {} },
    chunks: [],
  })
  expect(await client().pin(short)).toEqual({ requested: 0, affected: 0 })
  expect(await client().unpin(short)).toEqual({ requested: 0, affected: 0 })
  expect(await client().prefetch(short, { deadlineMs: 1 })).toEqual({ status: 'noop', foundKeys: 0, totalKeys: 0 })
})

/** The salt of the recorded keys. */
function savedSalt(): string {
  const [first] = recordedBody('pins, counted').pins as readonly { readonly key: { readonly cache_salt: string } }[]
  return first?.key.cache_salt ?? ''
}
