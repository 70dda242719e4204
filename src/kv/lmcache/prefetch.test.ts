import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { recordedBody, replay } from '../../../test/contracts/kv/recorded.ts'
import { CwmError } from '../../base/errors.ts'
import { LmcacheClient, type LmcacheTarget } from './client.ts'

const mock = setupServer()
beforeAll(() => mock.listen({ onUnhandledRequest: 'error' }))
afterEach(() => mock.resetHandlers())
afterAll(() => mock.close())

const coordinatorUrl = 'http://coordinator.test:9300'
const serverUrl = 'http://node-a.test:8080'
const keys = { engineName: './model', worldSize: 1, chunkSize: 256 }
const server = {
  instanceId: 'node-a',
  url: serverUrl,
  reachable: true,
  registered: true,
  engines: [keys],
  backends: ['fs', 'resp'],
  isolatedLru: false,
}
const sequence = { tokenIds: new Uint32Array(1046), salt: 'a-salt', keys }

const client = (target: Partial<LmcacheTarget> = {}) =>
  new LmcacheClient({ target: { coordinatorUrl, pins: true, servers: [server], ...target }, timeoutMs: 2_000 })

const jobOf = (name: string) => recordedBody(name).request_id as string
const submits = (name = 'prefetch') => http.post(`${coordinatorUrl}/cache/prefetches`, () => replay(name))
const polls = (answer: () => Response | Promise<Response>, job = jobOf('prefetch')) =>
  http.get(`${coordinatorUrl}/cache/prefetches/node-a/${job}`, answer)
const pending = () => HttpResponse.json({ request_id: jobOf('prefetch'), status: 'pending' })
const completed = (found: number) => () =>
  HttpResponse.json({ request_id: jobOf('prefetch'), status: 'completed', found_keys: found, total_keys: 4 })

it('submits through the coordinator to the server with the engine, and polls until completed', async () => {
  let sent: unknown
  let asked = 0
  mock.use(
    http.post(`${coordinatorUrl}/cache/prefetches`, async ({ request }) => {
      sent = await request.json()
      return replay('prefetch')
    }),
    polls(() => (++asked < 3 ? pending() : completed(4)())),
  )
  const idle = { ...server, instanceId: 'node-b', engines: [] }

  const result = await client({ servers: [idle, server] }).prefetch(sequence, { deadlineMs: 5_000 })

  expect(result).toEqual({ status: 'completed', foundKeys: 4, totalKeys: 4 })
  expect(sent).toMatchObject({ instance_id: 'node-a', model_name: './model', world_size: 1, cache_salt: 'a-salt' })
  expect(asked).toBe(3)
})

it('reports missing keys', async () => {
  mock.use(submits('prefetch, nothing stored'), polls(completed(0), jobOf('prefetch, nothing stored')))

  expect(await client().prefetch(sequence, { deadlineMs: 5_000 })).toEqual({
    status: 'completed',
    foundKeys: 0,
    totalKeys: 4,
  })
})

it('calls the server directly without a coordinator, or if the server is not registered', async () => {
  const bodies: unknown[] = []
  mock.use(
    http.post(`${serverUrl}/cache/prefetches`, async ({ request }) => {
      bodies.push(await request.json())
      return replay('prefetch, server')
    }),
    http.get(`${serverUrl}/cache/prefetches/${jobOf('prefetch, server')}`, completed(4)),
  )
  const bare = new LmcacheClient({ target: { pins: false, servers: [server] }, timeoutMs: 2_000 })
  const stranger = client({ servers: [{ ...server, registered: false }] })

  expect((await bare.prefetch(sequence, { deadlineMs: 5_000 })).status).toBe('completed')
  expect((await stranger.prefetch(sequence, { deadlineMs: 5_000 })).status).toBe('completed')
  expect(bodies).toHaveLength(2)
  expect(bodies[0]).not.toHaveProperty('instance_id')
})

it('returns timeout, not zero, when the deadline passes between polls', async () => {
  mock.use(submits(), polls(pending))

  expect(await client().prefetch(sequence, { deadlineMs: 60 })).toEqual({
    status: 'timeout',
    foundKeys: null,
    totalKeys: null,
  })
})

it('returns timeout when the deadline passes during a poll', async () => {
  mock.use(
    submits(),
    polls(() => new Promise<never>(() => undefined)),
  )

  expect((await client().prefetch(sequence, { deadlineMs: 60 })).status).toBe('timeout')
})

it('reports a server that does not answer within the call limit as unreachable', async () => {
  mock.use(http.post(`${coordinatorUrl}/cache/prefetches`, () => new Promise<never>(() => undefined)))
  const impatient = new LmcacheClient({ target: { coordinatorUrl, pins: true, servers: [server] }, timeoutMs: 40 })

  await expect(impatient.prefetch(sequence, { deadlineMs: 5_000 })).rejects.toMatchObject({
    code: 'LMCACHE_UNREACHABLE',
  })
})

// Recorded: `completed` is reported once; a server that restarted in between answers the same.
it('reports a job that the server no longer has', async () => {
  mock.use(
    submits(),
    polls(() => replay('prefetch poll after completed was read')),
  )

  await expect(client().prefetch(sequence, { deadlineMs: 5_000 })).rejects.toMatchObject({
    code: 'LMCACHE_BAD_ANSWER',
    message: expect.stringContaining('answered 404'),
  })
})

it.each(['prefetch, unknown model', 'prefetch, unknown instance'])('reports an error answer (%s)', async (name) => {
  mock.use(submits(name))

  await expect(client().prefetch(sequence, { deadlineMs: 5_000, instanceId: 'node-z' })).rejects.toMatchObject({
    code: 'LMCACHE_BAD_ANSWER',
  })
})

it('returns noop if LMCache counts no whole chunk', async () => {
  mock.use(http.post(`${coordinatorUrl}/cache/prefetches`, () => HttpResponse.json({ chunks: 0, status: 'noop' })))

  expect((await client().prefetch(sequence, { deadlineMs: 5_000 })).status).toBe('noop')
})

it('rejects a request_id that is not safe in a path', async () => {
  mock.use(http.post(`${coordinatorUrl}/cache/prefetches`, () => replay('prefetch', { request_id: '../../quota' })))

  await expect(client().prefetch(sequence, { deadlineMs: 5_000 })).rejects.toMatchObject({ code: 'LMCACHE_BAD_ANSWER' })
})

it('stops polling on abort', async () => {
  const controller = new AbortController()
  const reason = new CwmError('CLIENT_GONE', 'gone')
  let asked = 0
  mock.use(
    submits(),
    polls(() => {
      asked += 1
      setImmediate(() => controller.abort(reason))
      return pending()
    }),
  )

  const answer = client().prefetch(sequence, { deadlineMs: 5_000, signal: controller.signal })

  await expect(answer).rejects.toBe(reason)
  expect(asked).toBe(1)
})

it('reports that no server is known', async () => {
  const bare = new LmcacheClient({ target: { pins: false, servers: [] }, timeoutMs: 2_000 })

  await expect(bare.prefetch(sequence, { deadlineMs: 5_000 })).rejects.toMatchObject({ code: 'LMCACHE_UNREACHABLE' })
})
