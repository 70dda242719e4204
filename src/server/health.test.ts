// The probes behind `/cwm/v1/health`: counted, with a fake clock.

import { describe, expect, it } from 'vitest'
import { fleetOf, memberOf } from '../../test/support/watched-fleet.ts'
import type { BreakerState, Sighting } from '../engines/engine.ts'
import { HealthCheck } from './health.ts'

function aCheck() {
  const asked: ((sighting: Sighting) => void)[] = []
  let lmcacheAsked = 0
  const state = { now: 0 }
  const health = {
    breaker: 'closed' as BreakerState,
    lastSeen: undefined as Sighting | undefined,
    inFlight: 0,
    check: () => Promise.resolve({ ok: true } as const),
    probe: () => new Promise<Sighting>((resolve) => asked.push(resolve)),
  }
  const lmcache = {
    health: () => {
      lmcacheAsked++
      return Promise.resolve({ ok: true, pins: true, warnings: [], servers: [] })
    },
  }
  const store = { kind: 'sqlite', ping: () => Promise.resolve() } as const
  const check = new HealthCheck({ fleet: fleetOf(health), lmcache, store, now: () => state.now })
  const answer = (sighting: Sighting = { ok: true }) => asked.at(-1)?.(sighting)
  return { check, asked, answer, state, health, lmcacheAsks: () => lmcacheAsked }
}

describe('health', () => {
  it('runs one probe for any number of concurrent requests, however long it takes', async () => {
    const { check, asked, answer, state, lmcacheAsks } = aCheck()
    const together = Array.from({ length: 50 }, () => check.read())
    state.now = 2_500
    const later = check.read()
    answer()

    const all = await Promise.all([...together, later])

    expect(new Set(all.map(({ status }) => status))).toEqual(new Set(['ok']))
    expect([asked.length, lmcacheAsks()]).toEqual([1, 1])
  })

  it('probes at most once per second', async () => {
    const { check, asked, answer, state, lmcacheAsks } = aCheck()
    for (let ms = 0; ms < 3_000; ms += 100) {
      state.now = ms
      const reading = check.read()
      answer()
      await reading
    }

    expect([asked.length, lmcacheAsks()]).toEqual([3, 3])
  })

  it('reflects what turns and the breaker show between two probes', async () => {
    const { check, asked, answer, health } = aCheck()
    const first = check.read()
    answer()
    await first

    health.lastSeen = { ok: false, error: 'upstream_refused' }
    const failed = await check.read()
    health.lastSeen = undefined
    health.breaker = 'open'
    const open = await check.read()

    expect(failed).toMatchObject({ status: 'degraded', upstream: { ok: false, error: 'upstream_refused' } })
    expect(open).toMatchObject({ status: 'degraded', upstream: { ok: false, error: 'upstream_open', breaker: 'open' } })
    expect(asked).toHaveLength(1)
  })

  it('probes again after a failure', async () => {
    const { check, answer, state } = aCheck()
    const first = check.read()
    answer({ ok: false, error: 'upstream_refused' })
    expect(await first).toMatchObject({ status: 'degraded', upstream: { ok: false, error: 'upstream_refused' } })
    state.now = 1_000

    const second = check.read()
    answer()

    expect(await second).toMatchObject({ status: 'ok', upstream: { ok: true } })
  })

  it('is degraded while one engine of several is down, and says which', async () => {
    const healthOf = (seen: Sighting) => ({
      breaker: 'closed' as const,
      lastSeen: seen,
      inFlight: 0,
      check: async () => seen,
      probe: async () => seen,
    })
    const members = [
      memberOf(healthOf({ ok: true }), { state: 'draining', inFlight: 2, kvServer: 'lm-a' }),
      memberOf(healthOf({ ok: false, error: 'upstream_refused' }), { id: 'http://b', state: 'down' }),
    ]
    const lmcache = { health: async () => ({ ok: null, pins: false, warnings: [], servers: [] }) }
    const store = { kind: 'sqlite', ping: async () => {} } as const
    const check = new HealthCheck({ fleet: { members: () => members }, lmcache, store, now: () => 0 })

    const health = await check.read()

    expect(health).toMatchObject({ status: 'degraded', upstream: { ok: true, breaker: 'closed' } })
    expect(health.engines).toEqual([
      { id: 'http://a', state: 'draining', ok: true, breaker: 'closed', in_flight: 2, lmcache_instance: 'lm-a' },
      {
        id: 'http://b',
        state: 'down',
        ok: false,
        error: 'upstream_refused',
        breaker: 'closed',
        in_flight: 0,
        lmcache_instance: null,
      },
    ])
  })
})
