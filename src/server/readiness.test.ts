// The verdict of `/cwm/readyz`, and how few probes it takes.

import { describe, expect, it } from 'vitest'
import { fleetOf, memberOf } from '../../test/support/watched-fleet.ts'
import { CwmError } from '../base/errors.ts'
import type { BreakerState, Sighting } from '../engines/engine.ts'
import { ReadinessCheck } from './readiness.ts'

const fine = { ping: () => Promise.resolve() }
const refused: Sighting = { ok: false, error: 'upstream_refused' }
const away = { ping: () => Promise.reject(new CwmError('STORE_UNAVAILABLE', 'away')) }

/** An engine whose health probes hang until the test releases them. */
function anEngine(breaker: BreakerState, lastSeen?: Sighting) {
  const asked: ((sighting: Sighting) => void)[] = []
  const probe = () => new Promise<Sighting>((resolve) => asked.push(resolve))
  const check = () => Promise.resolve({ ok: true } as const)
  return { health: { breaker, lastSeen, inFlight: 0, check, probe }, asked }
}

describe('cwm', () => {
  it('is ready while its store answers and the breaker is closed, without probing the upstream', async () => {
    const engine = anEngine('closed')

    const readiness = await new ReadinessCheck(fine, fleetOf(engine.health)).read()

    expect(readiness).toEqual({
      status: 'ready',
      draining: false,
      store: { ok: true },
      upstream: { ok: null, state: 'unknown', breaker: 'closed' },
    })
    expect(engine.asked).toEqual([])
  })

  it.each([
    [undefined, 'closed', { ok: null, state: 'unknown' }],
    [{ ok: true }, 'closed', { ok: true, state: 'answered' }],
    [{ ok: false, error: 'upstream_refused' }, 'closed', { ok: false, state: 'failed' }],
    [{ ok: true }, 'open', { ok: false, state: 'failed' }],
  ] as const)('says of the upstream what was last seen of it: %j, breaker %s', async (lastSeen, breaker, said) => {
    const engine = anEngine(breaker, lastSeen)
    const reading = new ReadinessCheck(fine, fleetOf(engine.health)).read()
    engine.asked[0]?.(refused)

    const readiness = await reading

    expect(readiness.upstream).toEqual({ ...said, breaker })
    expect(readiness.status).toBe(breaker === 'open' ? 'not_ready' : 'ready')
  })

  it('is not ready without its store, unless that is excluded, and reports it either way', async () => {
    const check = new ReadinessCheck(away, fleetOf(anEngine('closed').health))

    expect(await check.read()).toMatchObject({ status: 'not_ready', store: { ok: false } })
    expect(await check.read(['upstream'])).toMatchObject({ status: 'not_ready' })
    expect(await check.read(['store'])).toMatchObject({ status: 'ready', store: { ok: false } })
  })

  it('is not ready once it drains, whatever is excluded', async () => {
    const check = new ReadinessCheck(fine, fleetOf(anEngine('closed').health))

    check.drain()

    expect(await check.read(['store', 'upstream'])).toMatchObject({ status: 'not_ready', draining: true })
  })

  it('sends one probe at a time to an upstream whose breaker is open', async () => {
    const engine = anEngine('open')
    const check = new ReadinessCheck(fine, fleetOf(engine.health))
    const looks = [check.read(), check.read(), check.read()]
    engine.asked[0]?.(refused)

    const verdicts = await Promise.all(looks)
    const later = check.read()
    engine.asked[1]?.(refused)

    expect(verdicts.map(({ status }) => status)).toEqual(['not_ready', 'not_ready', 'not_ready'])
    expect(await later).toMatchObject({ status: 'not_ready', upstream: { ok: false, breaker: 'open' } })
    expect(engine.asked).toHaveLength(2)
  })

  it('is ready while one of its engines is not down', async () => {
    const down = memberOf(anEngine('closed', refused).health, { state: 'down' })
    const up = memberOf(anEngine('closed').health, { id: 'http://b', state: 'draining' })

    const both = await new ReadinessCheck(fine, { members: () => [down, up] }).read()
    const none = await new ReadinessCheck(fine, { members: () => [down] }).read()

    expect(both).toMatchObject({ status: 'ready', upstream: { ok: null, state: 'unknown' } })
    expect(none).toMatchObject({ status: 'not_ready', upstream: { ok: false, state: 'failed' } })
  })
})
