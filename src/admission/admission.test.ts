// Admission: who starts, who waits, whose turn it is, and that no slot is lost or released twice.

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openScope } from '../../test/support/open-scope.ts'
import { CwmError } from '../base/errors.ts'
import { createMetrics, type Metrics } from '../base/metrics.ts'
import { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'
import { Admission, type AdmissionOptions } from './admission.ts'

let metrics: Metrics
let admission: Admission

function open(options: Partial<AdmissionOptions> = {}): void {
  metrics = createMetrics()
  admission = new Admission({ maxInFlight: 1, maxQueued: 100, queueMs: 1_000, ...options }, metrics, Date.now)
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** One request and its outcome. */
class TestRequest {
  outcome: 'waits' | 'in flight' | CwmError = 'waits'
  readonly #response = { destroyed: false, writableFinished: false }
  readonly #scope = new RequestScope(this.#response)

  constructor(tenant: string, maxInFlight?: number) {
    const policy = maxInFlight === undefined ? {} : { maxInFlight }
    const refused = (error: unknown) => {
      this.outcome = error instanceof CwmError ? error : expect.fail(String(error))
    }
    try {
      const turn = admission.enter({ sharer: tenant, policy } as unknown as Caller, this.#scope)
      if (turn === undefined) this.outcome = 'in flight'
      else turn.then(() => (this.outcome = 'in flight'), refused)
    } catch (error) {
      refused(error)
    }
  }

  get code(): string | undefined {
    return this.outcome instanceof CwmError ? this.outcome.code : undefined
  }

  close(): void {
    this.#response.destroyed = true
    this.#scope.close()
  }
}

/** Lets pending promise handlers run. */
const settled = () => vi.advanceTimersByTimeAsync(0)

async function gauge(name: string): Promise<number> {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await metrics.text())?.[1])
}

describe('a request', () => {
  it('starts at once if a slot is free, and otherwise waits until one is released', async () => {
    open({ maxInFlight: 2 })
    const [first, second, third] = [new TestRequest('a'), new TestRequest('a'), new TestRequest('a')]
    await settled()
    expect([first.outcome, second.outcome, third.outcome]).toEqual(['in flight', 'in flight', 'waits'])

    second.close()
    await settled()

    expect(third.outcome).toBe('in flight')
    expect([await gauge('cwm_slots_in_use'), await gauge('cwm_requests_queued')]).toEqual([2, 0])
  })

  it('is rejected after queue_ms, with a Retry-After', async () => {
    open()
    new TestRequest('a')
    const late = new TestRequest('b')

    await vi.advanceTimersByTimeAsync(999)
    expect(late.outcome).toBe('waits')
    await vi.advanceTimersByTimeAsync(1)

    expect(late.outcome).toMatchObject({ code: 'OVERLOADED', status: 429 })
    expect([1, 2, 3, 4]).toContain((late.outcome as CwmError).retryAfterS)
    expect(await metrics.text()).toContain('cwm_refused_requests_total{code="overloaded",reason="queue_deadline"} 1')
    expect(await gauge('cwm_requests_queued')).toBe(0)
  })

  it('is rejected at once if queueing is disabled', () => {
    open({ queueMs: 0 })
    new TestRequest('a')

    expect(new TestRequest('b').code).toBe('OVERLOADED')
  })

  it('leaves the queue when its client leaves, and the next one takes its turn', async () => {
    open()
    const first = new TestRequest('a')
    const [gone, next] = [new TestRequest('a'), new TestRequest('a')]

    gone.close()
    first.close()
    await settled()

    expect([gone.code, next.outcome]).toEqual(['CLIENT_GONE', 'in flight'])
  })

  it('gets no slot if its client has already left', async () => {
    open()
    const gone = new RequestScope({ destroyed: true, writableFinished: false })

    expect(() => admission.enter({ sharer: 'a', policy: {} } as unknown as Caller, gone)).toThrow('left')

    expect(await gauge('cwm_slots_in_use')).toBe(0)
  })

  // Sockets that close together emit their events in the same tick, before any promise handler runs.
  it('releases a slot that it got in the same tick in which it closed', async () => {
    open()
    const [first, second, third] = [new TestRequest('a'), new TestRequest('a'), new TestRequest('a')]

    first.close()
    second.close()
    await settled()

    expect(third.outcome).toBe('in flight')
    third.close()
    expect(await gauge('cwm_slots_in_use')).toBe(0)
  })
})

describe('limits that change', () => {
  it('admit whoever waits as soon as they allow it', async () => {
    open()
    const [first, second] = [new TestRequest('a'), new TestRequest('a')]
    await settled()
    expect([first.outcome, second.outcome]).toEqual(['in flight', 'waits'])

    admission.update({ maxInFlight: 2, maxQueued: 100, queueMs: 1_000 })
    await settled()

    expect(second.outcome).toBe('in flight')
  })

  it('leave running and waiting requests alone when they shrink', async () => {
    open({ maxInFlight: 2 })
    const [first, second, third] = [new TestRequest('a'), new TestRequest('a'), new TestRequest('a')]

    admission.update({ maxInFlight: 1, maxQueued: 1, queueMs: 1_000 })
    first.close()
    await settled()
    expect([second.outcome, third.outcome]).toEqual(['in flight', 'waits'])
    second.close()
    await settled()

    expect(third.outcome).toBe('in flight')
    expect(await gauge('cwm_slots_in_use')).toBe(1)
  })
})

describe('tenants', () => {
  it('are served round-robin, no matter how many requests of one tenant are waiting', async () => {
    open()
    const order: string[] = []
    const running = new TestRequest('a')
    const waiting = ['a', 'a', 'a', 'b', 'c', 'b'].map((tenant, i) => ({
      name: `${tenant}${i}`,
      of: new TestRequest(tenant),
    }))

    let last = running
    for (let i = 0; i < 6; i++) {
      last.close()
      await settled()
      const next = waiting.find(({ of, name }) => of.outcome === 'in flight' && !order.includes(name))
      order.push(next?.name ?? '')
      last = next?.of ?? last
    }

    expect(order).toEqual(['a0', 'b3', 'c4', 'a1', 'b5', 'a2'])
  })

  it('at their own limit wait alone: others start at once', async () => {
    open({ maxInFlight: 10 })
    const first = new TestRequest('a', 1)
    const second = new TestRequest('a', 1)
    const other = new TestRequest('b', 1)
    await settled()

    expect([first.outcome, second.outcome, other.outcome]).toEqual(['in flight', 'waits', 'in flight'])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(second.outcome).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', status: 429 })
  })

  it('at their own limit leave free slots to others', async () => {
    open({ maxInFlight: 2 })
    const [a, b] = [new TestRequest('a', 1), new TestRequest('b')]
    const [second, other] = [new TestRequest('a', 1), new TestRequest('c')]

    b.close()
    await settled()
    expect([second.outcome, other.outcome]).toEqual(['waits', 'in flight'])
    a.close()
    await settled()

    expect(second.outcome).toBe('in flight')
  })

  it('that flood the queue displace only their own requests: the newest of the longest queue is rejected', async () => {
    open({ maxQueued: 3 })
    new TestRequest('a')
    const flood = [new TestRequest('a'), new TestRequest('a'), new TestRequest('a')]
    const more = new TestRequest('a')
    const other = new TestRequest('b')
    await settled()

    expect(more.code).toBe('OVERLOADED')
    expect(flood.map(({ code }) => code)).toEqual([undefined, undefined, 'OVERLOADED'])
    expect(other.outcome).toBe('waits')
    expect(await gauge('cwm_requests_queued')).toBe(3)
  })
})

describe('an operation', () => {
  const sender = (tenant: string) => ({ sharer: tenant, policy: { maxInFlight: 1 } }) as unknown as Caller

  /** One operation of a client, whose work ends when the test says so. */
  function operation(tenant: string, scope = openScope()) {
    const calls = { begun: 0, end: () => {} }
    const work = () => {
      calls.begun++
      return new Promise<void>((resolve) => {
        calls.end = resolve
      })
    }
    const done = admission.run(sender(tenant), scope.scope, work).then(
      () => 'done',
      ({ code }: CwmError) => code,
    )
    return { calls, done, leave: scope.close }
  }

  it('keeps its slot until its work has ended, even if its client leaves before', async () => {
    open()
    const first = operation('a')
    const next = new TestRequest('b')

    first.leave()
    await settled()
    expect(next.outcome).toBe('waits')
    first.calls.end()
    await settled()

    expect([next.outcome, await first.done]).toEqual(['in flight', 'done'])
  })

  it('does not begin if its client leaves in the same tick in which it gets a slot', async () => {
    open()
    const running = new TestRequest('a')
    const gone = operation('b')

    running.close()
    gone.leave()
    await settled()

    expect([gone.calls.begun, await gone.done]).toEqual([0, 'CLIENT_GONE'])
    expect(await gauge('cwm_slots_in_use')).toBe(0)
  })

  it('rides on the slot of its request, if that has one', async () => {
    open()
    const scope = openScope()
    await admission.enter(sender('a'), scope.scope)

    const inner = operation('a', scope)
    await settled()

    expect(inner.calls.begun).toBe(1)
    expect(await gauge('cwm_slots_in_use')).toBe(1)
  })

  it('of a request without a slot takes its own, one per branch', async () => {
    open({ maxInFlight: 10 })
    const scope = openScope()

    const branches = [operation('a', scope), operation('a', scope)]
    await settled()
    expect(branches.map(({ calls }) => calls.begun)).toEqual([1, 0])
    branches[0]?.calls.end()
    await settled()

    expect(branches.map(({ calls }) => calls.begun)).toEqual([1, 1])
  })
})

it('rejects whatever waits when cwm stops, and whatever comes after that', async () => {
  open()
  new TestRequest('a')
  const waiting = new TestRequest('b')

  admission.close(new CwmError('SHUTTING_DOWN', 'stopping'))
  await settled()

  expect([waiting.code, new TestRequest('c').code]).toEqual(['SHUTTING_DOWN', 'SHUTTING_DOWN'])
  expect(await gauge('cwm_requests_queued')).toBe(0)
})

describe('slots', () => {
  const step = fc.oneof(
    fc.record({ ask: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ close: fc.nat(30) }),
    fc.record({ pass: fc.constantFrom(1, 400, 1_000) }),
  )

  it('never exceed the limits, are never idle while an eligible request waits, and are all free in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        async (steps, maxInFlight) => {
          open({ maxInFlight, maxQueued: 5 })
          const all: { readonly tenant: string; readonly of: TestRequest }[] = []
          const live = () => all.filter(({ of }) => of.outcome === 'in flight')
          const closed = new Set<TestRequest>()
          for (const what of steps) {
            if ('ask' in what) all.push({ tenant: what.ask, of: new TestRequest(what.ask, 2) })
            else if ('pass' in what) await vi.advanceTimersByTimeAsync(what.pass)
            else {
              const one = all[what.close]?.of
              if (one !== undefined && !closed.has(one)) one.close()
              if (one !== undefined) closed.add(one)
            }
            if (what !== steps.at(-1) && 'close' in what) continue
            await settled()
            const running = live().filter(({ of }) => !closed.has(of))
            const of = (tenant: string) => running.filter((one) => one.tenant === tenant).length
            expect(running.length).toBeLessThanOrEqual(maxInFlight)
            for (const tenant of ['a', 'b', 'c']) expect(of(tenant)).toBeLessThanOrEqual(2)
            const able = all.filter((one) => one.of.outcome === 'waits' && of(one.tenant) < 2)
            if (able.length > 0) expect(running.length).toBe(maxInFlight)
          }
          for (const { of } of all) if (!closed.has(of)) of.close()
          expect([await gauge('cwm_slots_in_use'), await gauge('cwm_requests_queued')]).toEqual([0, 0])
          expect(vi.getTimerCount()).toBe(0)
        },
      ),
      { numRuns: 200 },
    )
  })
})
