// Bytes of bodies held at once: never more than the limit, never all of it for one tenant, and none leak.

import { beforeEach, describe, expect, it } from 'vitest'
import { createMetrics, type Metrics } from '../base/metrics.ts'
import { RequestScope } from '../base/request-scope.ts'
import { BodyBudget } from './body-budget.ts'

let metrics: Metrics
let budget: BodyBudget
beforeEach(() => {
  metrics = createMetrics()
  budget = new BodyBudget(100, metrics)
})

function hold(tenant: string, bytes: number) {
  const scope = new RequestScope({ destroyed: false, writableFinished: false })
  const held = budget.open(tenant, scope)
  held.set(bytes)
  return { set: (more: number) => held.set(more), close: () => scope.close() }
}

const overloaded = expect.objectContaining({ code: 'OVERLOADED', retryAfterS: expect.any(Number) as number }) as Error

describe('bytes of request bodies', () => {
  it('are rejected if they do not fit, and accepted once others are released', () => {
    const first = hold('a', 60)
    expect(() => hold('b', 41)).toThrow(overloaded)

    first.close()

    hold('b', 41)
  })

  it('allow one body to take all that is free', () => {
    hold('a', 100)
  })

  it('allow a tenant with several bodies to hold at most as much as it leaves free', () => {
    hold('a', 25)
    hold('a', 25)

    expect(() => hold('a', 1)).toThrow(overloaded)

    hold('b', 25)
    expect(() => hold('c', 13)).toThrow(overloaded)
  })

  it('count from the first body of a tenant on, so that new tenants cannot take it all', () => {
    hold('a', 50)

    expect(() => hold('b', 26)).toThrow(overloaded)

    hold('b', 25)
  })

  it('may grow, and stay as they were if they cannot', async () => {
    hold('a', 50)
    const growing = hold('b', 10)
    growing.set(25)
    expect(() => growing.set(26)).toThrow(overloaded)

    expect(await metrics.text()).toMatch(/^cwm_body_bytes 75$/m)
    expect(await metrics.text()).toContain('cwm_refused_requests_total{code="overloaded",reason="body_bytes"} 1')
  })

  it('are not reserved for a response that is already closed', async () => {
    budget.open('a', new RequestScope({ destroyed: true, writableFinished: false })).set(10)

    expect(await metrics.text()).toMatch(/^cwm_body_bytes 0$/m)
  })

  it('are released once, and not reserved again by work that was still in progress', async () => {
    const held = hold('a', 10)
    held.close()
    held.close()
    held.set(90)

    expect(await metrics.text()).toMatch(/^cwm_body_bytes 0$/m)
  })
})
