// The verdict of `/cwm/readyz`, and how few probes it takes.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { BreakerState } from '../engines/breaker.ts'
import type { Sighting } from '../engines/guarded-upstream.ts'
import type { AnswerSink } from '../engines/upstream.ts'
import { ReadinessCheck } from './readiness.ts'

const fine = { getSession: () => Promise.resolve(undefined) }
const away = { getSession: () => Promise.reject(new CwmError('STORE_UNAVAILABLE', 'away')) }

/** An upstream whose health probes hang until the test releases them. */
function anUpstream(breaker: BreakerState, lastSeen?: Sighting) {
  const asked: AnswerSink[] = []
  const health = {
    send: (_: unknown, sink: AnswerSink) => {
      asked.push(sink)
      return () => {}
    },
  }
  return { breaker, health, lastSeen, asked }
}

describe('cwm', () => {
  it('is ready while its store answers and the breaker is closed, without probing the upstream', async () => {
    const upstream = anUpstream('closed')

    const readiness = await new ReadinessCheck(fine, upstream).read()

    expect(readiness).toEqual({
      status: 'ready',
      draining: false,
      store: { ok: true },
      upstream: { ok: null, state: 'unknown', breaker: 'closed' },
    })
    expect(upstream.asked).toEqual([])
  })

  it.each([
    [undefined, 'closed', { ok: null, state: 'unknown' }],
    [{ ok: true }, 'closed', { ok: true, state: 'answered' }],
    [{ ok: false, error: 'upstream_refused' }, 'closed', { ok: false, state: 'failed' }],
    [{ ok: true }, 'open', { ok: false, state: 'failed' }],
  ] as const)('says of the upstream what was last seen of it: %j, breaker %s', async (lastSeen, breaker, said) => {
    const upstream = anUpstream(breaker, lastSeen)
    const reading = new ReadinessCheck(fine, upstream).read()
    upstream.asked[0]?.onError(new CwmError('UPSTREAM_REFUSED', 'nobody there'))

    const readiness = await reading

    expect(readiness.upstream).toEqual({ ...said, breaker })
    expect(readiness.status).toBe(breaker === 'open' ? 'not_ready' : 'ready')
  })

  it('is not ready without its store, unless that is excluded, and reports it either way', async () => {
    const check = new ReadinessCheck(away, anUpstream('closed'))

    expect(await check.read()).toMatchObject({ status: 'not_ready', store: { ok: false } })
    expect(await check.read(['upstream'])).toMatchObject({ status: 'not_ready' })
    expect(await check.read(['store'])).toMatchObject({ status: 'ready', store: { ok: false } })
  })

  it('is not ready once it drains, whatever is excluded', async () => {
    const check = new ReadinessCheck(fine, anUpstream('closed'))

    check.drain()

    expect(await check.read(['store', 'upstream'])).toMatchObject({ status: 'not_ready', draining: true })
  })

  it('sends one probe at a time to an upstream whose breaker is open', async () => {
    const upstream = anUpstream('open')
    const check = new ReadinessCheck(fine, upstream)
    const looks = [check.read(), check.read(), check.read()]
    upstream.asked[0]?.onError(new CwmError('UPSTREAM_REFUSED', 'nobody there'))

    const verdicts = await Promise.all(looks)
    const later = check.read()
    upstream.asked[1]?.onError(new CwmError('UPSTREAM_REFUSED', 'nobody there'))

    expect(verdicts.map(({ status }) => status)).toEqual(['not_ready', 'not_ready', 'not_ready'])
    expect(await later).toMatchObject({ status: 'not_ready', upstream: { ok: false, breaker: 'open' } })
    expect(upstream.asked).toHaveLength(2)
  })
})
