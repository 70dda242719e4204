import { http } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { recordedBody, replay } from '../../../test/contracts/kv/recorded.ts'
import type { JsonObject } from '../../base/json.ts'
import { Endpoint } from './http.ts'
import { batches, findKeys, findKeysOfSalts, findPlaced, keyId, wireKey } from './keys.ts'

const mock = setupServer()
beforeAll(() => mock.listen({ onUnhandledRequest: 'error' }))
afterEach(() => mock.resetHandlers())
afterAll(() => mock.close())

const url = 'http://coordinator.test:9300'
const coordinator = new Endpoint(url, 5_000)
const results = recordedBody('lookup, stored').results as readonly JsonObject[]
const recordedKeys = results.map(({ key }) => key as JsonObject)
const salt = String(recordedKeys[0]?.cache_salt)
const keys = { engineName: './model', worldSize: 1, chunkSize: 256 }

/** A directory with this many keys, the last four of them recorded ones, which may change before its second page. */
function listing(total: number, totalLater = total): void {
  const other = { ...recordedKeys[0], cache_salt: 'of-another' }
  mock.use(
    http.get(`${url}/directory/keys`, ({ request }) => {
      const query = new URL(request.url).searchParams
      const [offset, limit] = [Number(query.get('offset')), Number(query.get('limit'))]
      const all = Array.from({ length: total }, (_, i) => ({
        key: i < total - 4 ? other : recordedKeys[i - (total - 4)],
        placements: results[0]?.placements ?? [],
      }))
      const body = { total: offset === 0 ? total : totalLater, keys: all.slice(offset, offset + limit) }
      return Response.json(body)
    }),
  )
}

it('returns every key of a sequence with its placements, and sends a key in the form in which it was read', async () => {
  mock.use(http.post(`${url}/directory/lookup`, () => replay('lookup, stored')))

  const found = await findKeys(coordinator, { tokenIds: new Uint32Array(1046), salt, keys })

  expect(found.map(({ key }) => wireKey(key))).toEqual(recordedKeys)
  expect(found[0]?.placements.map(({ tier, backend }) => `${tier} ${backend}`).sort()).toEqual([
    'l1 dram',
    'l2 fs',
    'l2 resp',
  ])
  expect(new Set(found.map(({ key }) => keyId(key))).size).toBe(4)
})

it('rejects an answer that lacks keys', async () => {
  mock.use(http.post(`${url}/directory/lookup`, () => replay('lookup, stored', { results: [] })))
  const key = { hash: 'aa', engineName: './model', rank: 1, group: 0, salt: 'a-salt' }

  await expect(findPlaced(coordinator, [key])).rejects.toMatchObject({
    code: 'LMCACHE_BAD_ANSWER',
    message: expect.not.stringContaining('a-salt'),
  })
})

it('reads the directory page by page and returns the keys of the given salts', async () => {
  listing(10_003)

  const { keys: found, complete } = await findKeysOfSalts(coordinator, new Set([salt]))

  expect(found.map(({ key }) => wireKey(key))).toEqual(recordedKeys)
  expect(complete).toBe(true)
})

it('reports an incomplete scan if the directory shrank meanwhile, or is too large', async () => {
  listing(10_003, 10_002)
  const shrunk = await findKeysOfSalts(coordinator, new Set([salt]))
  listing(20)
  const cut = await findKeysOfSalts(coordinator, new Set([salt]), { maxKeys: 18 })

  expect(shrunk.complete).toBe(false)
  expect(cut).toMatchObject({ complete: false, keys: { length: 2 } })
})

it('makes no call without salts', async () => {
  expect(await findKeysOfSalts(coordinator, new Set())).toEqual({ keys: [], complete: true })
})

it('sends at most 500 keys per call', () => {
  const portions = batches(Array.from({ length: 1_001 }, (_, i) => i))

  expect(portions.map(({ length }) => length)).toEqual([500, 500, 1])
})
