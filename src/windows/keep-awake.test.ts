// Which engines are called to keep them awake, when, by whom, and with what.

import { beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { Engine, WarmCall } from '../engines/engine.ts'
import type { FleetMember } from '../engines/fleet.ts'
import type { MemberState } from '../engines/fleet-change.ts'
import type { KvLink } from '../kv/kv.ts'
import { KeepAwake, type KeepAwakeParts } from './keep-awake.ts'

const MINUTE = 60_000
const A = 'http://a.example:8000'
const B = 'http://b.example:8000'
const going = new AbortController().signal

interface Called extends WarmCall {
  readonly engine: string
  readonly apiKey: string | undefined
}

let now: number
let called: Called[]
let members: FleetMember[]
let leases: Map<string, { holder: object; until: number }>

beforeEach(() => {
  now = 0
  called = []
  members = [member(A), member(B)]
  leases = new Map()
})

function member(
  id: string,
  options: { state?: MemberState; limit?: number; fails?: boolean; kvServer?: string } = {},
): FleetMember {
  const { state = 'up', limit = 4096, fails = false, kvServer } = options
  const base = { id: 'served', engineName: './model', limit, contextLimit: limit }
  const engine = {
    id,
    models: { list: async () => [base, { ...base, id: 'adapter' }] },
    warm: async (call: WarmCall, { apiKey }: { apiKey: string | undefined }) => {
      called.push({ ...call, engine: id, apiKey })
      if (fails) throw new Error('broken')
      return { cachedTokens: 0, promptTokens: call.tokenIds.length }
    },
  } as unknown as Engine
  return { id, url: id, weight: 1, state, inFlight: 0, engine, kvServer }
}

/** A link to LMCache servers with chunks of 16 tokens. */
const attached = {
  plan: (engineName: string) => (engineName === './model' ? { kind: 'lmcache' } : undefined),
  extentOf: () => ({ chunkSize: 16, chunks: 0 }),
} as unknown as KvLink

function aProxy(change: Partial<KeepAwakeParts> = {}) {
  const self = {}
  const metrics = createMetrics()
  const proxy = new KeepAwake({
    fleet: { members: () => members },
    kv: { open: async () => attached },
    store: {
      acquireLease: async (name, ms) => {
        const held = leases.get(name)
        if (held !== undefined && held.holder !== self && held.until > now) return false
        leases.set(name, { holder: self, until: now + ms })
        return true
      },
    },
    metrics,
    log: silentLogger,
    now: () => now,
    salt: 'the salt of these calls',
    intervalMs: 20 * MINUTE,
    apiKey: () => 'sk-upstream',
    ...change,
  })
  return { proxy, metrics }
}

/** Lets time pass for proxies that run as often as they ask for. */
async function pass(minutes: number, ...proxies: readonly KeepAwake[]): Promise<void> {
  for (let n = 0; n < minutes; n += 5) {
    now += 5 * MINUTE
    for (const proxy of proxies) await proxy.run(going)
  }
}

const engines = () => called.map(({ engine }) => engine)

describe('engines are kept awake', () => {
  it('by one token more than a chunk, under the salt of these calls, with the key of the engine', async () => {
    await pass(5, aProxy().proxy)

    expect(engines()).toEqual([A, B])
    expect(called[0]).toMatchObject({ model: 'served', salt: 'the salt of these calls', apiKey: 'sk-upstream' })
    expect(called[0]?.tokenIds).toHaveLength(17)
  })

  it('by the same ids each time, so that they leave one chunk', async () => {
    await pass(30, aProxy().proxy)

    expect(called).toHaveLength(4)
    expect(new Set(called.map(({ tokenIds }) => tokenIds.join()))).toHaveLength(1)
  })

  it('once per interval', async () => {
    await pass(120, aProxy().proxy)

    expect(engines().filter((id) => id === A)).toHaveLength(6)
  })

  it('by one of several proxies', async () => {
    await pass(60, aProxy().proxy, aProxy().proxy, aProxy().proxy)

    expect(engines().filter((id) => id === A)).toHaveLength(3)
  })

  it('by another proxy within the hour of LMCache when that one stops', async () => {
    const [first, second] = [aProxy().proxy, aProxy().proxy]
    await pass(5, first, second)
    await pass(15, first, second)
    called = []

    await pass(30, second)

    expect(new Set(engines())).toEqual(new Set([A, B]))
  })

  it('by every proxy while the store does not answer', async () => {
    const store = { acquireLease: () => Promise.reject(new Error('away')) }
    await pass(5, aProxy({ store }).proxy, aProxy({ store }).proxy)

    expect(engines()).toEqual([A, B, A, B])
  })

  it('while they drain, but not while they are down', async () => {
    members = [member(A, { state: 'draining' }), member(B, { state: 'down' })]
    await pass(5, aProxy().proxy)

    expect(engines()).toEqual([A])
  })

  it('unless their own LMCache server does not list them, even if another one has the same model', async () => {
    members = [member(A, { kvServer: 'node-a' }), member(B, { kvServer: 'node-b' })]
    const plan: KvLink['plan'] = (name, tokens, server) =>
      server === 'node-b' ? undefined : attached.plan(name, tokens, server)
    await pass(5, aProxy({ kv: { open: async () => ({ ...attached, plan }) } }).proxy)

    expect(engines()).toEqual([A])
  })

  it('unless no LMCache server lists them: a call might hang them', async () => {
    const { proxy, metrics } = aProxy({ kv: { open: async () => ({ ...attached, plan: () => undefined }) } })
    await pass(5, proxy)

    expect(called).toEqual([])
    expect(await metrics.text()).toContain('cwm_keep_awake_calls_total{outcome="skipped"} 2')
  })

  it('unless a chunk does not fit into their context', async () => {
    members = [member(A, { limit: 17 })]
    await pass(5, aProxy().proxy)

    expect(called).toEqual([])
  })

  it('even if a call to another one fails, which is counted', async () => {
    members = [member(A, { fails: true }), member(B)]
    const { proxy, metrics } = aProxy()
    await pass(5, proxy)

    expect(engines()).toEqual([A, B])
    const text = await metrics.text()
    expect(text).toContain('cwm_keep_awake_calls_total{outcome="failed"} 1')
    expect(text).toContain('cwm_keep_awake_calls_total{outcome="done"} 1')
  })
})
