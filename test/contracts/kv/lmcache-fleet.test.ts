// LMCache behind the KV port with several engines: each engine has its server, and L2 may be shared or private.

import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/logger.ts'
import type { KvLink, KvSequence } from '../../../src/kv/kv.ts'
import { LmcacheBackend } from '../../../src/kv/lmcache/backend.ts'
import { LmcacheConnector } from '../../../src/kv/lmcache/connector.ts'
import { type Sim, type SimEngine, type SimOptions, startSim } from '../../../src/sim/index.ts'

let sim: Sim

afterEach(() => sim.close())

interface Fleet {
  readonly a: SimEngine
  readonly b: SimEngine
  readonly connector: LmcacheConnector
  readonly link: KvLink
  readonly sequence: KvSequence
}

async function start(
  options: SimOptions = {},
  { l2Shared, expected }: { l2Shared?: boolean; expected?: readonly string[] } = {},
): Promise<Fleet> {
  sim = await startSim({ engines: 2, eventFlushMs: 0, ...options })
  const [a, b] = sim.engines
  const connector = new LmcacheConnector({
    coordinatorUrl: sim.coordinatorUrl,
    timeoutMs: 10_000,
    now: Date.now,
    log: silentLogger,
    l2Shared,
    expectedServers: () => expected ?? [],
  })
  const link = await new LmcacheBackend(connector, Date.now).open()
  const handle = link?.plan(sim.root, 600)
  if (a === undefined || b === undefined || link === undefined || handle === undefined) throw new Error('no fleet')
  const tokenIds = Uint32Array.from({ length: 600 }, (_, i) => 1_000 + i)
  return { a, b, connector, link, sequence: { tokenIds, salt: 'salt', handle } }
}

async function compute({ url }: SimEngine, { tokenIds, salt }: KvSequence): Promise<void> {
  const body = JSON.stringify({ prompt: [...tokenIds], max_tokens: 1, cache_salt: salt })
  const headers = { 'content-type': 'application/json', connection: 'close' }
  expect((await fetch(`${url}/v1/completions`, { method: 'POST', headers, body })).status).toBe(200)
}

const wait = { deadlineMs: 200 }
const redis = { l2Adapters: ['resp'], sharedL2: ['resp'], redisAddress: { host: 'redis', port: 6379 } }

describe('durability in a fleet', () => {
  it('is l2 if every chunk is in a Redis that all servers use', async () => {
    const { a, link, sequence } = await start(redis)
    await compute(a, sequence)

    const placement = await link.verify(sequence, { ...wait, server: a.instanceId })

    expect(placement).toMatchObject({
      durability: 'l2',
      l2Shared: true,
      restorableTokens: 512,
      warnings: [],
      notes: [],
    })
  })

  it('is l1 if the chunks are on a disk of one server, which does not survive a move', async () => {
    const { a, link, sequence } = await start({ l2Adapters: ['fs'] }, { l2Shared: false })
    await compute(a, sequence)

    const placement = await link.verify(sequence, { ...wait, server: a.instanceId })

    expect(placement).toMatchObject({ durability: 'l1', l2Shared: false, restorableTokens: 512, warnings: [] })
    expect(placement.notes).toEqual([expect.stringContaining('the LMCache servers do not share')])
  })

  it('is l1 with a warning if nobody knows whether the servers share their L2', async () => {
    const { a, link, sequence } = await start({ l2Adapters: ['fs'] })
    await compute(a, sequence)

    const placement = await link.verify(sequence, { ...wait, server: a.instanceId })

    expect(placement).toMatchObject({ durability: 'l1', l2Shared: null })
    expect(placement.warnings).toEqual([expect.stringContaining('set l2_shared')])
  })

  it('is l2 if the operator says that L2 is shared, or every adapter is declared so', async () => {
    const said = await start({ l2Adapters: ['fs'], sharedL2: ['fs'] }, { l2Shared: true })
    await compute(said.a, said.sequence)
    expect(await said.link.verify(said.sequence, wait)).toMatchObject({ durability: 'l2', l2Shared: true })
    await sim.close()

    const declared = await start({ l2Adapters: ['fs'], sharedL2: ['fs'], declaredShared: ['fs'] })
    await compute(declared.a, declared.sequence)
    expect(await declared.link.verify(declared.sequence, wait)).toMatchObject({ durability: 'l2', l2Shared: true })
  })

  it.each([
    ['is l2 on its own disk, because nobody else could load it', [], { durability: 'l2', l2Shared: null, notes: [] }],
    [
      'is l1 on its own disk while the server of another engine is away',
      ['x', 'y'],
      { durability: 'l1', l2Shared: null },
    ],
  ] as const)('of a single server %s', async (_, expected, proved) => {
    sim = await startSim({ eventFlushMs: 0, l2Adapters: ['fs'] })
    const connector = new LmcacheConnector({
      coordinatorUrl: sim.coordinatorUrl,
      timeoutMs: 10_000,
      now: Date.now,
      log: silentLogger,
      expectedServers: () => expected,
    })
    const link = await new LmcacheBackend(connector, Date.now).open()
    const handle = link?.plan(sim.root, 600)
    const [engine] = sim.engines
    if (link === undefined || handle === undefined || engine === undefined) throw new Error('no LMCache')
    const sequence = { tokenIds: new Uint32Array(600).fill(7), salt: 'salt', handle }
    await compute(engine, sequence)

    expect(await link.verify(sequence, wait)).toMatchObject(proved)
  })

  it('counts only what the server of the engine can load', async () => {
    const { a, b, link, sequence } = await start({ l2Adapters: ['fs'] }, { l2Shared: false })
    await compute(a, sequence)

    const placement = await link.verify(sequence, { ...wait, server: b.instanceId })

    expect(placement).toMatchObject({ durability: 'unverified', restorableTokens: 0 })
    expect(placement.tiers).toMatchObject({ l1: 2, l2: 2 })
  })
})

describe('a prefetch', () => {
  const submitted = () =>
    sim.requests
      .all('coordinator')
      .filter(({ method, path }) => method === 'POST' && path === '/cache/prefetches')
      .map(({ body }) => (JSON.parse(body.toString()) as { instance_id: string }).instance_id)

  it('goes to the server of the engine', async () => {
    const { a, b, link, sequence } = await start(redis)
    await compute(a, sequence)

    const receipt = await link.prefetch(sequence, { deadlineMs: 2_000, server: b.instanceId })

    expect(receipt).toMatchObject({ foundChunks: 2, totalChunks: 2, warnings: [] })
    expect(submitted()).toEqual(['node-b'])
  })

  it('goes to the first server with the engine if the settings name one that does not exist, and says so', async () => {
    const { a, link, sequence } = await start(redis)
    await compute(a, sequence)

    const receipt = await link.prefetch(sequence, { deadlineMs: 2_000, server: 'node-x' })

    expect(receipt).toMatchObject({ foundChunks: 2, warnings: [expect.stringContaining('lmcache_instance')] })
    expect(submitted()).toEqual(['node-a'])
  })
})

describe('a handle', () => {
  it('is given for an engine that its own server does not list only if nobody says which server that is', async () => {
    const { a, connector, link } = await start()
    await sim.setOnline(a.lmcacheName, false)
    connector.invalidate()
    const now = (await new LmcacheBackend(connector, Date.now).open()) ?? link

    expect(now.plan(sim.root, 600, 'node-a')).toBeUndefined()
    expect(now.plan(sim.root, 600, 'node-b')).toBeDefined()
    expect(now.plan(sim.root, 600)).toBeDefined()
  })
})

describe('health', () => {
  it('warns of an instance id in the settings that no server has', async () => {
    const { connector } = await start({}, { expected: ['node-a', 'node-x'] })

    const { ok, warnings } = await connector.health()

    expect(ok).toBe(false)
    expect(warnings).toEqual([expect.stringContaining('node-x')])
  })
})

describe('a deletion', () => {
  it('leaves nothing in a shared L2 that both servers stored to, nor in their memories', async () => {
    const { a, b, link, sequence } = await start(redis)
    await compute(a, sequence)
    await compute(b, sequence)

    const receipt = await link.erase({ sequences: [sequence], keep: [], deadlineMs: 5_000 })

    expect(receipt).toMatchObject({ deletedChunks: 2, residualChunks: 0 })
    for (const { instanceId: server } of [a, b])
      expect(await link.prefetch(sequence, { deadlineMs: 2_000, server })).toMatchObject({ foundChunks: 0 })
  })
})
