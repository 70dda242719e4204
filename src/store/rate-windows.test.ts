// What accounts use within a minute, in the memory of one process, over time. The contract of all stores: test/contracts/store/rates.ts.

import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { RateWindows } from './rate-windows.ts'

const START_MS = 1_700_000_000_500
let ms: number
let windows: RateWindows
beforeEach(() => {
  ms = START_MS
  windows = new RateWindows(() => ms)
})

const take = (tokens: number, limit = 100) => windows.take('acme', [{ name: '', limit: { tokens: limit } }], tokens)

describe('a use', () => {
  it('counts for a whole minute, and is free again when `waitMs` has passed', () => {
    take(60)
    ms += 20_000
    take(40)

    const { waitMs } = take(50)
    ms += waitMs.tokens - 1
    const early = take(50)
    ms += 1
    const late = take(50)

    expect(ms - START_MS).toBeGreaterThanOrEqual(60_000)
    expect([early.at, late.at]).toEqual([undefined, Math.floor(ms / 1000)])
    expect(late.uses).toMatchObject([{ tokens: 90 }])
  })

  it('waits for as many of the oldest as it needs', () => {
    take(30)
    ms += 1_000
    take(30)
    ms += 1_000
    take(40)

    expect(take(31).waitMs.tokens - take(30).waitMs.tokens).toBe(1_000)
  })

  it('is gone when the reset has passed', () => {
    const [use] = take(10).uses
    ms += use?.tokensResetMs ?? 0

    expect(windows.read('acme', [''])).toEqual([{ requests: 0, tokens: 0, requestsResetMs: 0, tokensResetMs: 0 }])
  })

  it('that turns out larger counts from then on', () => {
    const { at = 0 } = take(10)
    ms += 50_000
    windows.settle('acme', [''], at, { requests: 0, tokens: 60 })
    ms += 20_000

    expect(windows.read('acme', [''])).toMatchObject([{ requests: 0, tokens: 60 }])
  })

  it('still counts if the clock is set back', () => {
    take(100)
    ms -= 3_600_000

    expect(take(1).at).toBeUndefined()
  })
})

it('no span of a minute contains more than the limit, and whoever waits as told gets through', () => {
  const step = fc.record({ pauseMs: fc.nat(9_000), tokens: fc.integer({ min: 1, max: 60 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const taken: { readonly ms: number; readonly tokens: number }[] = []
      windows = new RateWindows(() => ms)
      for (const { pauseMs, tokens } of steps) {
        ms += pauseMs
        const first = take(tokens)
        if (first.at === undefined) {
          ms += first.waitMs.tokens
          expect(take(tokens).at).toBeDefined()
        }
        taken.push({ ms, tokens })
        const minute = taken.filter((one) => one.ms > ms - 60_000)
        expect(minute.reduce((sum, one) => sum + one.tokens, 0)).toBeLessThanOrEqual(100)
      }
    }),
  )
})

it('forgets the account that was used longest ago when there are too many', () => {
  windows = new RateWindows(() => ms, 2)
  for (const owner of ['a', 'b', 'c']) windows.take(owner, [{ name: '', limit: {} }], 5)

  expect(['c', 'b', 'a'].map((owner) => windows.read(owner, [''])[0]?.tokens)).toEqual([5, 5, 0])
})
