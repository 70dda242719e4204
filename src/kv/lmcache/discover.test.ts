import { HttpResponse, http } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { recordedBody, replay } from '../../../test/contracts/kv/recorded.ts'
import { isObject, type JsonObject, type JsonValue } from '../../base/json.ts'
import { discoverLmcache } from './discover.ts'

const mock = setupServer()
beforeAll(() => mock.listen({ onUnhandledRequest: 'error' }))
afterEach(() => mock.resetHandlers())
afterAll(() => mock.close())

// As recorded: the coordinator lists node-a at 127.0.0.1:8080, and node-a reports its coordinator at 127.0.0.1:9300.
const coordinatorUrl = 'http://127.0.0.1:9300'
const lmcacheUrl = 'http://127.0.0.1:8080'
const timeoutMs = 2_000

const serverA = {
  instanceId: 'node-a',
  url: lmcacheUrl,
  reachable: true,
  registered: true,
  chunkSize: 256,
  hashAlgorithm: 'blake3',
  backends: ['fs', 'resp'],
  engines: [{ engineName: './model', worldSize: 1 }],
  isolatedLru: false,
  eventReporting: true,
  separateObjectGroups: false,
  adapterAddresses: ['127.0.0.1:6390'],
  adapters: [
    { type: 'fs', shared: false, address: undefined },
    { type: 'resp', shared: false, address: '127.0.0.1:6390' },
  ],
}
const whole = {
  coordinatorUrl,
  pins: true,
  directory: true,
  chunkSize: 256,
  hashAlgorithm: 'blake3',
  servers: [serverA],
  engines: [{ engineName: './model', worldSize: 1 }],
  sharedL2: new Map([
    ['fs', null],
    ['resp', null],
  ]),
  warnings: [],
}

it.each([{ coordinatorUrl }, { lmcacheUrl }, { coordinatorUrl, lmcacheUrl }, { lmcacheUrl: `${lmcacheUrl}//` }])(
  'finds the whole fleet from %j',
  async (given) => {
    mock.use(...aServer(), ...aCoordinator())

    expect(await discoverLmcache({ ...given, timeoutMs })).toEqual(whole)
  },
)

it('uses the given URL of a server instead of its registered address', async () => {
  mock.use(...aServer({ url: 'https://gate.test/kv' }), ...aCoordinator())

  const topology = await discoverLmcache({ coordinatorUrl, lmcacheUrl: 'https://gate.test/kv/', timeoutMs })

  expect(topology.servers).toEqual([{ ...serverA, url: 'https://gate.test/kv' }])
})

it('works with a server that has no coordinator: no pins, no directory', async () => {
  mock.use(...aServer({ config: { coordinator: { url: '', event_reporting: false } } }))

  const topology = await discoverLmcache({ lmcacheUrl, timeoutMs })

  expect(topology).toMatchObject({ pins: false, directory: false, chunkSize: 256, engines: whole.engines })
  expect(topology).not.toHaveProperty('coordinatorUrl')
  expect(topology.warnings).toEqual([`LMCache server ${lmcacheUrl} has no coordinator: no pins and no directory`])
})

it('works without a coordinator that does not answer', async () => {
  mock.use(
    ...aServer(),
    http.all(`${coordinatorUrl}/*`, () => HttpResponse.error()),
  )

  const topology = await discoverLmcache({ lmcacheUrl, timeoutMs })

  expect(topology).toMatchObject({ pins: false, directory: false, chunkSize: 256 })
  expect(topology).not.toHaveProperty('coordinatorUrl')
  expect(topology.warnings).toEqual([expect.stringContaining(`LMCache at ${coordinatorUrl} broke the connection`)])
})

it('warns about an unusable coordinator URL, without quoting it', async () => {
  mock.use(...aServer({ config: { coordinator: { url: 'http://user:hunter2@c', event_reporting: true } } }))

  const { warnings } = await discoverLmcache({ lmcacheUrl, timeoutMs })

  expect(warnings).toEqual([expect.stringContaining('names a coordinator URL that cwm cannot use')])
  expect(warnings.join()).not.toContain('hunter2')
})

it('throws if none of the given addresses answers', async () => {
  mock.use(http.all('*', () => HttpResponse.error()))
  const unreachable = expect.objectContaining({ code: 'LMCACHE_UNREACHABLE' })

  await expect(discoverLmcache({ lmcacheUrl, timeoutMs })).rejects.toEqual(unreachable)
  await expect(discoverLmcache({ coordinatorUrl, timeoutMs })).rejects.toEqual(unreachable)
  await expect(discoverLmcache({ coordinatorUrl, lmcacheUrl, timeoutMs })).rejects.toEqual(unreachable)
})

it('requires one of the two URLs', async () => {
  await expect(discoverLmcache({ timeoutMs })).rejects.toMatchObject({ code: 'CONFIG' })
})

it('lists an instance that does not answer, with a warning', async () => {
  mock.use(
    ...aServer(),
    ...aCoordinator({ second: { instance_id: 'node-b', ip: 'fd00::7', http_port: 8081 } }),
    http.all(/fd00::7/, () => HttpResponse.error()),
  )

  const { servers, warnings, chunkSize } = await discoverLmcache({ coordinatorUrl, timeoutMs })

  expect(servers[1]).toMatchObject({
    instanceId: 'node-b',
    url: 'http://[fd00::7]:8081',
    reachable: false,
    chunkSize: null,
  })
  expect(warnings).toEqual([expect.stringContaining('LMCache at http://[fd00::7]:8081 broke the connection')])
  expect(chunkSize).toBe(256)
})

it('has no chunk size if two servers differ', async () => {
  const url = 'http://10.0.0.2:8080'
  mock.use(
    ...aServer(),
    ...aServer({ url, config: { mp: { instance_id: 'node-b' } }, status: { chunk_size: 512 } }),
    ...aCoordinator({ second: { instance_id: 'node-b', ip: '10.0.0.2', http_port: 8080 } }),
  )

  const { chunkSize, hashAlgorithm, warnings, engines } = await discoverLmcache({ coordinatorUrl, timeoutMs })

  expect({ chunkSize, hashAlgorithm, engines }).toEqual({
    chunkSize: null,
    hashAlgorithm: 'blake3',
    engines: whole.engines,
  })
  expect(warnings).toEqual(['LMCache servers differ in chunk size (256, 512): they share no chunks'])
})

it('detects a coordinator with another chunk size', async () => {
  mock.use(...aServer(), ...aCoordinator({ coordinatorChunk: 512 }))

  const { warnings } = await discoverLmcache({ coordinatorUrl, timeoutMs })

  expect(warnings).toEqual([expect.stringContaining("the coordinator's --chunk-size differs from the servers' 256")])
})

it('reports disabled features: events, pins, L2, engines', async () => {
  mock.use(
    http.get(`${coordinatorUrl}/cache/pins`, () => HttpResponse.json({ detail: 'Not Found' }, { status: 404 })),
    ...aServer({
      config: { coordinator: { url: coordinatorUrl, event_reporting: false } },
      status: { non_cuda_context_meta: {} },
      adapters: [],
    }),
    ...aCoordinator(),
  )

  const topology = await discoverLmcache({ coordinatorUrl, timeoutMs })

  expect(topology).toMatchObject({ pins: false, directory: false, engines: [] })
  expect(topology.warnings).toEqual([
    expect.stringContaining('the coordinator does not accept pins'),
    expect.stringContaining('does not report its chunks'),
    expect.stringContaining('has no L2 adapter'),
    expect.stringContaining('no engine has attached'),
  ])
})

// There is no GPU here: the key and its two fields are those of modules/lmcache_driven_transfer.py, report_status.
it('reads the engines of a GPU server', async () => {
  const cache_context_meta = { '1': { model_name: 'org/m', world_size: 4, kv_cache_layout: {} } }
  mock.use(...aServer({ status: { cache_context_meta, non_cuda_context_meta: null } }), ...aCoordinator())

  const { engines } = await discoverLmcache({ coordinatorUrl, timeoutMs })

  expect(engines).toEqual([{ engineName: 'org/m', worldSize: 4 }])
})

it("rejects with the caller's reason on abort", async () => {
  const controller = new AbortController()
  const reason = new Error('stop')
  mock.use(
    http.all('*', () => {
      controller.abort(reason)
      return new Promise<never>(() => undefined)
    }),
  )

  await expect(discoverLmcache({ coordinatorUrl, timeoutMs, signal: controller.signal })).rejects.toBe(reason)
})

interface ServerChange {
  readonly url?: string
  readonly config?: Readonly<Record<string, JsonObject>>
  readonly status?: JsonObject
  readonly adapters?: readonly JsonValue[]
}

function aServer({ url = lmcacheUrl, config = {}, status = {}, adapters }: ServerChange = {}) {
  const recorded = recordedBody('config')
  const merged = Object.fromEntries(
    Object.entries(config).map(([key, value]) => {
      const before = recorded[key]
      return [key, { ...(isObject(before) ? before : {}), ...value }]
    }),
  )
  return [
    http.get(`${url}/status`, () => replay('status', status)),
    http.get(`${url}/config`, () => replay('config', merged)),
    http.get(`${url}/config/adapters`, () => replay('adapters', adapters === undefined ? {} : { adapters })),
  ]
}

function aCoordinator(change: { readonly second?: JsonObject; readonly coordinatorChunk?: number } = {}) {
  const listed = recordedBody('instances').instances as readonly JsonValue[]
  const instances = change.second === undefined ? listed : [...listed, change.second]
  return [
    http.get(`${coordinatorUrl}/instances`, () => replay('instances', { instances })),
    http.get(`${coordinatorUrl}/cache/pins`, () => replay('pins, beyond the last')),
    http.post(`${coordinatorUrl}/directory/lookup`, async ({ request }) => {
      const { token_ids } = (await request.json()) as { token_ids: number[] }
      return replay('chunk size probe', { chunks: Math.floor(token_ids.length / (change.coordinatorChunk ?? 256)) })
    }),
  ]
}
