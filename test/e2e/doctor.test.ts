// The doctor on simulated deployments, correct or with one fault each: the right check fails, and its remedy names the flag.

import { once } from 'node:events'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/logger.ts'
import { createMetrics } from '../../src/base/metrics.ts'
import type { DoctorFlags } from '../../src/cli/doctor-flags.ts'
import { doctorParts } from '../../src/cli/doctor-parts.ts'
import { openEngine } from '../../src/compose/open-engine.ts'
import { type Settings, settingsSchema } from '../../src/config/schema.ts'
import { type Diagnosis, diagnose } from '../../src/doctor/doctor.ts'
import { type Sim, type SimOptions, startSim } from '../../src/sim/index.ts'
import { placements, saltsSeen } from '../support/rest.ts'
import { startCwm } from '../support/stack.ts'

let sim: Sim
let dataDir: string

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'cwm-doctor-'))
})

afterEach(async () => {
  await sim.close()
  await rm(dataDir, { recursive: true, force: true })
})

interface Given {
  readonly sim?: SimOptions
  readonly settings?: Partial<Settings>
  readonly flags?: DoctorFlags
  readonly limits?: { readonly checkMs: number; readonly allMs: number }
}

async function examine({ sim: options = {}, settings = {}, flags = {}, limits }: Given = {}): Promise<Diagnosis> {
  sim = await startSim({ eventFlushMs: 0, ...options })
  return await look(settings, flags, limits)
}

async function look(
  settings: Partial<Settings> = {},
  flags: DoctorFlags = {},
  limits = { checkMs: 5_000, allMs: 15_000 },
): Promise<Diagnosis> {
  const lmcache = sim.settings.lmcache ? { coordinator: sim.coordinatorUrl } : {}
  const all = settingsSchema.parse({
    upstream: sim.engineUrl,
    data_dir: dataDir,
    lmcache_timeout_ms: 1_000,
    ...lmcache,
    ...settings,
  })
  const engine = openEngine(all, { metrics: createMetrics(), log: silentLogger, now: Date.now }, 20_000)
  try {
    return await diagnose({ ...doctorParts(all, flags, [{ url: engine.id, engine }]), settleTimeoutMs: 300 }, limits)
  } finally {
    await engine.close()
  }
}

const checkOf = ({ checks }: Diagnosis, id: string) => checks.find((check) => check.id === id)
const withVerdict = ({ checks }: Diagnosis, verdict: string) =>
  checks.filter((check) => check.verdict === verdict).map(({ id }) => id)

describe('the doctor on the paths of an engine', () => {
  const answering = async (paths: object, components: object = {}) => {
    sim = await startSim({ eventFlushMs: 0 })
    const body = { paths, components }
    sim.fault({ server: 'engine', path: '/openapi.json', action: { kind: 'status', status: 200, body } })
    return checkOf(await look(), 'paths')
  }
  const taking = (...bodies: readonly object[]) => ({
    post: { requestBody: { content: { 'application/json': { schema: { anyOf: bodies } } } } },
  })
  const withSalt = { properties: { cache_salt: {}, input: {} } }

  it('names those that cwm does not know', async () => {
    const check = await answering({ '/v1/images/edits': { post: {} }, '/v1/embeddings': taking(withSalt) })

    expect(check).toMatchObject({
      verdict: 'warning',
      evidence: '1 of 2 paths are unknown to cwm, which does not forward them: POST /v1/images/edits',
    })
  })

  it('fails if a path that gets a salt does not take one in each of its bodies', async () => {
    const old = { properties: { input: {} } }
    const check = await answering(
      { '/v1/embeddings': taking({ $ref: '#/components/schemas/New' }, { $ref: '#/components/schemas/Old' }) },
      { schemas: { New: withSalt, Old: old } },
    )

    expect(check).toMatchObject({ verdict: 'failed' })
    expect(check?.evidence).toBe('no cache_salt in the body of /v1/embeddings: nothing isolates tenants there')
  })

  it('are skipped if it shows none', async () => {
    sim = await startSim({ eventFlushMs: 0 })
    sim.fault({ server: 'engine', path: '/openapi.json', action: { kind: 'status', status: 404, body: {} } })

    expect(checkOf(await look(), 'paths')).toMatchObject({ verdict: 'skipped' })
  })
})

describe('the doctor on a correct deployment', () => {
  it('reports no problems, and leaves nothing behind', async () => {
    const diagnosis = await examine({ flags: { resetEngineCache: true } })

    expect(withVerdict(diagnosis, 'failed')).toEqual([])
    expect(withVerdict(diagnosis, 'warning')).toEqual([])
    expect(withVerdict(diagnosis, 'skipped')).toEqual(['quotas', 'secret'])
    expect(diagnosis.verdict).toBe('ok')
    expect(await placements(sim)).toBe(0)
    await expect(stat(join(dataDir, 'secret'))).rejects.toThrow('ENOENT')
  })

  it('never prints a salt', async () => {
    const diagnosis = await examine({ flags: { resetEngineCache: true } })

    const salts = saltsSeen(sim)
    expect(salts.size).toBe(3)
    for (const salt of salts) expect(JSON.stringify(diagnosis)).not.toContain(salt)
  })

  it("does not reset the engine's cache unless allowed to", async () => {
    const diagnosis = await examine()

    expect(sim.requests.all('engine').map(({ path }) => path)).not.toContain('/reset_prefix_cache')
    expect(checkOf(diagnosis, 'restored')).toMatchObject({ verdict: 'skipped' })
  })

  it('skips what cannot be proved on an engine without LMCache', async () => {
    const diagnosis = await examine({ sim: { lmcache: false } })

    expect(diagnosis.verdict).toBe('ok')
    expect(checkOf(diagnosis, 'salt-engine')?.verdict).toBe('ok')
    expect(checkOf(diagnosis, 'stored')?.verdict).toBe('skipped')
  })

  it('sets a quota with IsolatedLRU, and removes it again', async () => {
    expect(checkOf(await examine({ sim: { isolatedLru: true } }), 'quotas')).toMatchObject({ verdict: 'ok' })
  })

  it('proves what it can if the limit is less than one chunk', async () => {
    const diagnosis = await examine({ sim: { maxModelLen: 200 } })

    expect(withVerdict(diagnosis, 'failed')).toEqual([])
    expect(checkOf(diagnosis, 'salt-engine')?.verdict).toBe('ok')
    expect(checkOf(diagnosis, 'stored')?.evidence).toMatch(/less than a chunk of 256/)
  })
})

describe('the doctor on a faulty deployment', () => {
  it.each<[string, SimOptions, string[], string, RegExp]>([
    [
      'usage has no details',
      { promptTokensDetails: false },
      ['usage-details'],
      'usage-details',
      /--enable-prompt-tokens-details/,
    ],
    [
      'prefix caching and LMCache are off',
      { prefixCaching: false, lmcache: false },
      ['prefix-caching'],
      'prefix-caching',
      /--enable-prefix-caching/,
    ],
    [
      'the coordinator has another chunk size',
      { coordinatorChunkSize: 128 },
      ['chunk-size'],
      'chunk-size',
      /same --chunk-size/,
    ],
    [
      'servers do not report',
      { eventReporting: false },
      ['event-reporting', 'stored'],
      'event-reporting',
      /--coordinator-event-reporting/,
    ],
    [
      'object groups are separate',
      { separateObjectGroups: true },
      ['object-groups'],
      'object-groups',
      /--no-separate-object-groups/,
    ],
    [
      'the in-process connector ignores salts',
      { connector: 'in-process' },
      ['salt-engine', 'attached'],
      'salt-engine',
      /LMCacheMPConnector/,
    ],
    [
      'the in-process connector on CPU stores nothing',
      { connector: 'in-process on CPU' },
      ['attached'],
      'attached',
      /LMCacheMPConnector/,
    ],
    ['an adapter ignores deletes', { undeletableAdapters: ['resp'] }, ['delete'], 'delete', /adapter did not delete/],
  ])('%s', async (_, options, red, id, remedy) => {
    const diagnosis = await examine({ sim: options, flags: { resetEngineCache: true } })

    expect(withVerdict(diagnosis, 'failed').sort()).toEqual([...red].sort())
    expect(checkOf(diagnosis, id)?.remedy).toMatch(remedy)
    expect(diagnosis.verdict).toBe('failed')
  })

  it('calls a leaking salt unsafe, with the figures', async () => {
    const diagnosis = await examine({ sim: { connector: 'in-process' } })

    expect(checkOf(diagnosis, 'salt-engine')?.evidence).toBe(
      'salt A: 0 then 640 of 641 tokens cached; salt B: 512: UNSAFE, KV is shared between salts, so tenants can find out what others have sent',
    )
  })

  it("distinguishes LMCache's whole chunks from the engine's own cache", async () => {
    const diagnosis = await examine({ sim: { prefixCaching: false } })

    expect(checkOf(diagnosis, 'prefix-caching')).toMatchObject({ verdict: 'warning' })
    expect(diagnosis.verdict).toBe('warning')
  })

  it('warns about servers without a tier behind memory', async () => {
    const diagnosis = await examine({ sim: { l2Adapters: [] } })

    expect(withVerdict(diagnosis, 'warning')).toEqual(['adapters'])
    expect(checkOf(diagnosis, 'adapters')?.remedy).toMatch(/--l2-adapter/)
  })

  it('reports once that nothing answers, and skips what depends on it', async () => {
    sim = await startSim()
    await sim.setOnline('engine', false)

    const diagnosis = await look()

    expect(withVerdict(diagnosis, 'failed')).toContain('upstream')
    expect(checkOf(diagnosis, 'salt-engine')?.verdict).not.toBe('ok')
    expect(withVerdict(diagnosis, 'ok')).not.toContain('limit')
  })

  it('reports that the coordinator does not answer, and continues with the rest', async () => {
    sim = await startSim()
    await sim.setOnline('coordinator', false)

    const diagnosis = await look()

    expect(checkOf(diagnosis, 'lmcache')).toMatchObject({
      verdict: 'failed',
      remedy: expect.stringMatching(/--coordinator/),
    })
    expect(checkOf(diagnosis, 'salt-engine')?.verdict).toBe('ok')
    expect(checkOf(diagnosis, 'stored')).toMatchObject({
      verdict: 'skipped',
      evidence: expect.stringMatching(/LMCache answers/),
    })
  })

  it('ends in time with an engine that accepts connections and never answers', async () => {
    sim = await startSim()
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const started = performance.now()

    const diagnosis = await look({ upstream: `http://127.0.0.1:${port}` }, {}, { checkMs: 200, allMs: 1_000 })
    silent.close()

    expect(diagnosis.verdict).toBe('failed')
    expect(checkOf(diagnosis, 'upstream')?.evidence).toBe('no answer within 0.2 s')
    expect(performance.now() - started).toBeLessThan(3_000)
  })

  it('deletes what it stored even if the time is over before', async () => {
    sim = await startSim({ eventFlushMs: 0 })
    sim.fault({ server: 'engine', path: '/openapi.json', action: { kind: 'stall' } })

    const diagnosis = await look({}, {}, { checkMs: 10_000, allMs: 4_000 })

    expect(checkOf(diagnosis, 'stored')).toMatchObject({ verdict: 'skipped', evidence: 'no time left' })
    expect(checkOf(diagnosis, 'delete')?.evidence).toMatch(/ chunks deleted, 0 left$/)
    expect(await placements(sim)).toBe(0)
  })

  it('names a model that is not served', async () => {
    const diagnosis = await examine({ flags: { model: 'other' } })

    expect(checkOf(diagnosis, 'upstream')?.evidence).toBe('the engine does not list the model other')
  })
})

describe("cwm's own store and secret", () => {
  it('are fine next to a running cwm', async () => {
    sim = await startSim()
    const cwm = await startCwm(sim.engineUrl, { data_dir: dataDir })

    const diagnosis = await look()
    await cwm.close()

    expect(checkOf(diagnosis, 'store')?.evidence).toBe(`a running cwm has ${dataDir} open`)
    expect(checkOf(diagnosis, 'secret')?.evidence).toMatch(/secret, mode 0600; a running cwm has the store open$/)
  })

  it('are opened if nobody else has them open', async () => {
    sim = await startSim()
    const cwm = await startCwm(sim.engineUrl, { data_dir: dataDir })
    await cwm.stop()

    const diagnosis = await look()

    expect(checkOf(diagnosis, 'store')?.evidence).toMatch(/cwm\.sqlite; secret from /)
    expect(checkOf(diagnosis, 'secret')?.evidence).toMatch(/it matches the store$/)
    expect(checkOf(await look({ secret: 'another secret altogether' }), 'secret')).toMatchObject({ verdict: 'failed' })
  })

  it('fail if others can read the secret, or if it is missing for an existing store', async () => {
    sim = await startSim()
    await mkdir(dataDir, { recursive: true })
    await writeFile(join(dataDir, 'secret'), 'x', { mode: 0o644 })
    expect(checkOf(await look(), 'secret')).toMatchObject({
      verdict: 'failed',
      remedy: `chmod 600 ${join(dataDir, 'secret')}`,
    })

    await rm(join(dataDir, 'secret'))
    await writeFile(join(dataDir, 'cwm.sqlite'), '', { mode: 0o600 })
    expect(checkOf(await look(), 'secret')).toMatchObject({ verdict: 'failed' })
  })
})
