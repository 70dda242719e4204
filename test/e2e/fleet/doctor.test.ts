// The doctor on simulated fleets: a list of engines, and routers, each correct or with one fault.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/logger.ts'
import { createMetrics } from '../../../src/base/metrics.ts'
import { doctorParts } from '../../../src/cli/doctor-parts.ts'
import { openEngine } from '../../../src/compose/open-engine.ts'
import { settingsSchema } from '../../../src/config/schema.ts'
import { type Diagnosis, diagnose } from '../../../src/doctor/doctor.ts'
import { type Sim, type SimOptions, startSim } from '../../../src/sim/index.ts'
import {
  byHeader,
  type FakeRouter,
  type FakeRouterOptions,
  inTurn,
  startFakeRouter,
} from '../../support/fake-router.ts'
import { placements, saltsSeen } from '../../support/rest.ts'

const LIMITS = { checkMs: 10_000, allMs: 60_000 }
const twoSharing: SimOptions = { engines: 2, sharedL2: ['resp'], l2Adapters: ['resp'], eventFlushMs: 0 }

let sim: Sim
let router: FakeRouter | undefined
let dataDir: string

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'cwm-doctor-'))
})

afterEach(async () => {
  await router?.close()
  router = undefined
  await sim.close()
  await rm(dataDir, { recursive: true, force: true })
})

interface Target {
  readonly url: string
  readonly kvServer?: string
}

async function look(targets: readonly Target[], affinity = 'none'): Promise<Diagnosis> {
  const settings = settingsSchema.parse({
    upstream: targets[0]?.url,
    data_dir: dataDir,
    affinity,
    lmcache_timeout_ms: 5_000,
    ...(sim.settings.lmcache ? { coordinator: sim.coordinatorUrl } : {}),
  })
  const watchers = { metrics: createMetrics(), log: silentLogger, now: Date.now }
  const engines = targets.map((target) => ({
    ...target,
    engine: openEngine({ ...settings, upstream: target.url }, watchers, 20_000),
  }))
  const parts = { ...doctorParts(settings, {}, engines), settleTimeoutMs: 500 }
  try {
    return await diagnose(parts, LIMITS)
  } finally {
    await Promise.all(engines.map(({ engine }) => engine.close()))
  }
}

/** Each engine by its address, with its LMCache server. */
const listed = (): Target[] => sim.engines.map(({ url, instanceId }) => ({ url, kvServer: instanceId }))

async function examineList(options: SimOptions, targets = listed): Promise<Diagnosis> {
  sim = await startSim({ ...twoSharing, ...options })
  return await look(targets())
}

async function examineRouter(choose: FakeRouterOptions['choose'], affinity = 'none', own = {}): Promise<Diagnosis> {
  sim = await startSim(twoSharing)
  router = await startFakeRouter(
    sim.engines.map(({ url }) => url),
    { choose, own },
  )
  return await look([router], affinity)
}

const checkOf = ({ checks }: Diagnosis, id: string) => checks.find((check) => check.id === id)
const withVerdict = ({ checks }: Diagnosis, verdict: string) =>
  checks.filter((check) => check.verdict === verdict).map(({ id }) => id)
const nameOf = (index: number) => new URL(sim.engines[index]?.url ?? '').host

describe('the doctor on a list of engines', () => {
  it('proves each engine and the fleet, and leaves nothing behind', async () => {
    const diagnosis = await examineList({ engines: 3 })

    expect(withVerdict(diagnosis, 'failed')).toEqual([])
    expect(withVerdict(diagnosis, 'warning')).toEqual([])
    expect(withVerdict(diagnosis, 'skipped').sort()).toEqual(['quotas', 'restored', 'secret'])
    expect(checkOf(diagnosis, 'salt-engine')?.evidence).toBe(
      'all 3 engines: salt A: 0 then 640 of 641 tokens cached; salt B: 0',
    )
    expect(checkOf(diagnosis, 'fleet-l2')?.evidence).toBe(
      'each of 3 engines loaded what others stored (512 tokens), and nothing under an unused salt',
    )
    expect(checkOf(diagnosis, 'sessions')?.evidence).toBe('all 3 engines: second turns of 4 sessions: 4 found their KV')
    expect(checkOf(diagnosis, 'fleet-servers')?.evidence).toContain('its KV is at node-b, as lmcache_instance says')
    expect(checkOf(diagnosis, 'spread')).toMatchObject({
      verdict: 'ok',
      evidence: expect.stringMatching(/^of 64 new sessions: [1-9]\d* at .+, [1-9]\d* at .+, [1-9]\d* at /),
    })
    expect(checkOf(diagnosis, 'delete')?.evidence).toMatch(/^all 3 engines: \d+ chunks deleted, 0 left$/)
  })

  it('leaves nothing on the disks of the engines', async () => {
    await examineList({ sharedL2: [] })

    expect(await placements(sim)).toBe(0)
  })

  it('never prints a salt', async () => {
    const diagnosis = await examineList({})

    const salts = saltsSeen(sim)
    expect(salts.size).toBeGreaterThan(6)
    for (const salt of salts) expect(JSON.stringify(diagnosis)).not.toContain(salt)
  })

  it.each<[string, SimOptions, string, string, RegExp, RegExp]>([
    [
      'one engine has another template',
      { engineOptions: [{}, { preamble: 'You are someone else.' }] },
      'failed',
      'fleet-templates',
      /differs from .+ from token 4 on: a session that moves is cold/,
      /--chat-template/,
    ],
    [
      'one model has another path',
      { engineOptions: [{}, { root: '/elsewhere/model' }] },
      'failed',
      'fleet-models',
      /sim-model is \.\/sim\/engine-model at .+, \/elsewhere\/model at /,
      /path of the model/,
    ],
    [
      'one engine has a lower limit',
      { engineOptions: [{}, { maxModelLen: 4_096 }] },
      'warning',
      'fleet-models',
      /max_model_len of sim-model: 8192 at .+, 4096 at /,
      /--max-model-len/,
    ],
    [
      'one server cuts other chunks',
      { engineOptions: [{}, { chunkSize: 128 }] },
      'failed',
      'chunk-size',
      /differ in chunk size/,
      /same --chunk-size/,
    ],
    [
      'one engine ignores salts',
      { engineOptions: [{}, { connector: 'in-process' }] },
      'failed',
      'salt-engine',
      /salt B: 512: UNSAFE/,
      /LMCacheMPConnector/,
    ],
    [
      'each engine has an L2 of its own',
      { sharedL2: [] },
      'failed',
      'fleet-l2',
      /loaded 0 of 512 tokens that .+ stored; .+ loaded 0 of 512/,
      /same L2/,
    ],
    [
      'one engine has another data type',
      { engineOptions: [{}, { dtype: 'bfloat16' }] },
      'failed',
      'fleet-l2',
      /loaded 0 of 512 tokens/,
      /data type/,
    ],
  ])('says so if %s', async (_, options, verdict, id, evidence, remedy) => {
    const diagnosis = await examineList(options)

    expect(checkOf(diagnosis, id)).toMatchObject({ verdict, evidence: expect.stringMatching(evidence) })
    expect(checkOf(diagnosis, id)?.remedy).toMatch(remedy)
    // Where chunks are cut differently, they cannot be named.
    if (id !== 'chunk-size') expect(checkOf(diagnosis, 'delete')?.evidence).toMatch(/ chunks deleted, 0 left$/)
  })

  it('names the engine that is down, and examines the others', async () => {
    sim = await startSim({ ...twoSharing, engines: 3 })
    await sim.setOnline('engine-2', false)

    const diagnosis = await look(listed())

    expect(checkOf(diagnosis, 'upstream')).toMatchObject({
      verdict: 'failed',
      evidence: expect.stringContaining(`${nameOf(1)}: the engine at`),
    })
    expect(checkOf(diagnosis, 'salt-engine')?.evidence).toContain(`${nameOf(0)}, ${nameOf(2)}: salt A: 0 then 640`)
    expect(checkOf(diagnosis, 'salt-engine')?.verdict).toBe('skipped')
    expect(checkOf(diagnosis, 'fleet-l2')).toMatchObject({
      verdict: 'ok',
      evidence: expect.stringContaining(`(unknown: ${nameOf(1)})`),
    })
  })

  it('shows versions that differ', async () => {
    sim = await startSim(twoSharing)
    sim.fault({
      server: 'engine-2',
      path: '/version',
      action: { kind: 'status', status: 200, body: { version: '0.31.0' } },
    })

    expect(checkOf(await look(listed()), 'fleet-versions')).toMatchObject({
      verdict: 'warning',
      evidence: expect.stringMatching(/, 0\.31\.0 at /),
    })
  })

  it('says which LMCache server an engine uses if the settings do not, or say another one', async () => {
    sim = await startSim(twoSharing)
    const [first, second] = sim.engines.map(({ url }) => url)

    const unset = await look([{ url: first ?? '' }, { url: second ?? '' }])
    const swapped = await look([
      { url: first ?? '', kvServer: 'node-b' },
      { url: second ?? '', kvServer: 'node-z' },
    ])

    expect(checkOf(unset, 'fleet-servers')).toMatchObject({
      verdict: 'warning',
      evidence: `${nameOf(0)}: its KV is at node-a; lmcache_instance is not set; ${nameOf(1)}: its KV is at node-b; lmcache_instance is not set`,
    })
    expect(checkOf(swapped, 'fleet-servers')).toMatchObject({
      verdict: 'failed',
      evidence: `${nameOf(0)}: its KV is at node-a; lmcache_instance says node-b; ${nameOf(1)}: lmcache_instance is node-z, but no LMCache server has this id (known: node-a, node-b)`,
    })
  })

  it('sees that one address of the list is several engines', async () => {
    sim = await startSim({ ...twoSharing, engines: 3 })
    const [first, ...others] = sim.engines.map(({ url }) => url)
    router = await startFakeRouter(others, { choose: inTurn(2) })

    const diagnosis = await look([{ url: first ?? '' }, router])

    expect(checkOf(diagnosis, 'sessions')).toMatchObject({
      verdict: 'failed',
      remedy: expect.stringMatching(/list each of them in upstream/),
    })
  })

  it('proves what it can without LMCache', async () => {
    const diagnosis = await examineList({ lmcache: false })

    expect(withVerdict(diagnosis, 'failed')).toEqual([])
    expect(checkOf(diagnosis, 'salt-engine')?.verdict).toBe('ok')
    expect(checkOf(diagnosis, 'fleet-l2')?.verdict).toBe('skipped')
  })
})

describe('the doctor with a router', () => {
  it('sees that sessions stay together and spread if the router hashes the affinity header', async () => {
    const diagnosis = await examineRouter(byHeader('x-session-id', 2), 'vllm-router')

    expect(withVerdict(diagnosis, 'failed')).toEqual([])
    expect(checkOf(diagnosis, 'sessions')).toMatchObject({
      verdict: 'ok',
      evidence: 'second turns of 12 sessions: 12 found their KV',
    })
    expect(checkOf(diagnosis, 'spread')).toMatchObject({
      verdict: 'ok',
      evidence: expect.stringMatching(/^sessions by LMCache server: \d+ at node-., \d+ at node-., of 2 servers/),
    })
    expect(checkOf(diagnosis, 'delete')?.evidence).toMatch(/ chunks deleted, 0 left$/)
  })

  it('warns that all sessions go to one engine if no affinity is set, and names the setting', async () => {
    const own = { '/workers': { workers: [{ is_healthy: true }, { is_healthy: false }], total: 2 } }
    const diagnosis = await examineRouter(byHeader('x-session-id', 2), undefined, own)

    expect(checkOf(diagnosis, 'router')).toMatchObject({
      verdict: 'warning',
      evidence: "vllm-router (or SGLang's gateway), 2 engines behind it, 1 of them unhealthy, affinity is none",
      remedy: expect.stringMatching(/^set affinity: vllm-router; .+--health-check-interval-secs 5/),
    })
    expect(checkOf(diagnosis, 'spread')).toMatchObject({
      verdict: 'warning',
      evidence: 'all sessions went to one of 2 engines: 12 at node-a',
      remedy: expect.stringMatching(/^set affinity/),
    })
  })

  it('fails if the router ignores the affinity header', async () => {
    const diagnosis = await examineRouter(inTurn(2), 'vllm-router')

    expect(checkOf(diagnosis, 'sessions')).toMatchObject({
      verdict: 'failed',
      remedy: expect.stringMatching(/--policy consistent_hash/),
    })
  })

  it('sees on which paths salts arrive', async () => {
    const diagnosis = await examineRouter(byHeader('x-session-id', 2), 'vllm-router')

    expect(checkOf(diagnosis, 'router-salts')).toMatchObject({
      verdict: 'ok',
      evidence: expect.stringMatching(
        /^the engine saw the salt on \/v1\/chat\/completions, \/v1\/completions, \/v1\/messages, \/v1\/responses/,
      ),
    })
  })

  it('calls a router unsafe that answers without the salt', async () => {
    const diagnosis = await examineRouter(byHeader('x-session-id', 2), 'vllm-router', {
      '/pooling': { data: [] },
    })

    expect(checkOf(diagnosis, 'router-salts')).toMatchObject({
      verdict: 'failed',
      evidence: 'the engine did not see the salt on /pooling: UNSAFE, tenants share KV there',
    })
  })

  it('does not call it unsafe where cwm itself rejects the path', async () => {
    const diagnosis = await examineRouter(byHeader('x-session-id', 2), 'vllm-router', {
      '/v1/embeddings': { data: [] },
    })

    expect(checkOf(diagnosis, 'router-salts')).toMatchObject({
      verdict: 'ok',
      evidence: expect.stringContaining('not on /v1/embeddings; cwm rejects those paths'),
    })
  })

  it('says that the router does not forward what windows need', async () => {
    sim = await startSim(twoSharing)
    for (const server of ['engine', 'engine-2'] as const)
      sim.fault({ server, path: '/tokenize', times: Number.POSITIVE_INFINITY, action: { kind: 'status', status: 401 } })
    router = await startFakeRouter(
      sim.engines.map(({ url }) => url),
      { choose: byHeader('x-session-id', 2), own: { '/list_workers': { urls: ['http://a', 'http://b'] } } },
    )

    expect(checkOf(await look([router], 'vllm-router'), 'router')).toMatchObject({
      verdict: 'warning',
      evidence: expect.stringContaining('POST /tokenize answers 401, so windows keep only their text'),
      remedy: expect.stringMatching(/^start the router with the engines' key/),
    })
  })

  it('says nothing of routers and fleets to a single engine', async () => {
    sim = await startSim({ eventFlushMs: 0 })

    const { checks } = await look([{ url: sim.engineUrl }])

    const ids = checks.map(({ id }) => id)
    expect(ids.filter((id) => /^(fleet-|router|sessions|spread)/.test(id))).toEqual([])
    expect(ids).toHaveLength(22)
  })
})
