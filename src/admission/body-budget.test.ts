// Bytes of bodies at one moment: never more than the bound, never all for one tenant, none left over.

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

describe('the bytes of bodies', () => {
  it('are refused where they do not fit, and fit when others are gone', () => {
    const first = hold('a', 60)
    expect(() => hold('b', 41)).toThrow(overloaded)

    first.close()

    hold('b', 41)
  })

  it('let one body have all that is free', () => {
    hold('a', 100)
  })

  it('let a tenant with several bodies hold no more than it leaves to others', () => {
    hold('a', 25)
    hold('a', 25)

    expect(() => hold('a', 1)).toThrow(overloaded)

    hold('b', 50)
  })

  it('may grow, and what could not grow holds what it did', async () => {
    hold('a', 50)
    const growing = hold('b', 10)
    growing.set(50)
    expect(() => growing.set(51)).toThrow(overloaded)

    expect(await metrics.text()).toMatch(/^cwm_body_bytes 100$/m)
    expect(await metrics.text()).toContain('cwm_refused_requests_total{code="overloaded",reason="body_bytes"} 1')
  })

  it('are not taken for a response that is closed already', async () => {
    budget.open('a', new RequestScope({ destroyed: true, writableFinished: false })).set(10)

    expect(await metrics.text()).toMatch(/^cwm_body_bytes 0$/m)
  })

  it('are given back once, and not taken again by what was under way', async () => {
    const held = hold('a', 10)
    held.close()
    held.close()
    held.set(90)

    expect(await metrics.text()).toMatch(/^cwm_body_bytes 0$/m)
  })
})
