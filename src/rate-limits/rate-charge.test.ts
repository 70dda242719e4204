// A charge from its reservation to its end.

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { createMetrics, type Metrics } from '../base/metrics.ts'
import type { RateLimits } from '../base/rates.ts'
import type { Usage } from '../base/records.ts'
import { openAiRateHeaders } from '../dialects/rate-headers.ts'
import { RateWindows } from '../store/rate-windows.ts'
import type { RateCharge } from './rate-charge.ts'
import { type RatedCaller, RateLimiter } from './rate-limiter.ts'

let windows: RateWindows
let isAway: boolean
let ms: number
let lines: string[]
let metrics: Metrics
let limiter: RateLimiter

beforeEach(() => {
  ms = 1_700_000_000_000
  windows = new RateWindows(() => ms)
  isAway = false
  lines = []
  metrics = createMetrics()
  const answer = async <T>(value: () => T): Promise<T> => {
    if (isAway) throw new CwmError('STORE_UNAVAILABLE', 'away')
    return value()
  }
  const log = {
    warn: (_: unknown, text: string) => lines.push(text),
    info: (_: unknown, text: string) => lines.push(text),
  }
  limiter = new RateLimiter({
    store: {
      takeRate: (...args) => answer(() => windows.take(...args)),
      settleRate: (...args) => answer(() => windows.settle(...args)),
      readRates: (...args) => answer(() => windows.read(...args)),
    },
    metrics,
    log: log as never,
    now: () => ms,
  })
})

const caller = (rates: RateLimits | undefined): RatedCaller =>
  ({ sharer: 'acme', actor: 'ci', policy: rates === undefined ? {} : { rates } }) as RatedCaller

function opened(rates: RateLimits = { tenant: { requests: 10, tokens: 1_000 } }): RateCharge {
  const charge = limiter.open(caller(rates), openAiRateHeaders)
  return charge ?? expect.fail('it has limits')
}

const need = { prompt: 100, cached: 5_000, answer: 50 }
const used = () => windows.read('acme', [''])[0]
const usage = (more: Partial<Usage>): Usage => ({ promptTokens: 0, completionTokens: 0, totalTokens: 0, ...more })

it('costs nothing for a caller without limits', () => {
  expect(limiter.open(caller(undefined), openAiRateHeaders)).toBeUndefined()
  expect(limiter.open(caller({}), openAiRateHeaders)).toBeUndefined()
})

describe('a reservation', () => {
  it('takes the prompt that is not cached and the answer', async () => {
    await opened().reserve(need)

    expect(used()).toMatchObject({ requests: 1, tokens: 150 })
  })

  it('for more choices than there are tokens is one that a store can count, and is given back as a whole', async () => {
    const charge = opened({ tenant: { requests: 10 } })

    await charge.reserve({ ...need, answer: Number.POSITIVE_INFINITY })
    const reserved = used()?.tokens
    charge.dispatched()
    charge.settle(usage({ promptTokens: 100, cachedTokens: 0, completionTokens: 20 }))

    expect(reserved).toBe(1e12)
    expect(used()).toMatchObject({ requests: 1, tokens: 120 })
  })

  it('is settled by usage: cached tokens are free', async () => {
    const charge = opened()
    await charge.reserve(need)
    charge.dispatched()

    charge.settle(usage({ promptTokens: 5_200, cachedTokens: 4_900, completionTokens: 20 }))
    charge.settleUnread(9_999)
    charge.close()

    expect(used()).toMatchObject({ requests: 1, tokens: 320 })
  })

  it('is settled by what was expected to be cached if the engine does not say', async () => {
    const charge = opened()
    await charge.reserve(need)

    charge.settle(usage({ promptTokens: 5_130, completionTokens: 20 }))

    expect(used()?.tokens).toBe(150)
  })

  it('stays if the client left, with what was answered beyond it', async () => {
    const [short, long] = [opened(), opened()]
    for (const charge of [short, long]) {
      await charge.reserve(need)
      charge.dispatched()
      charge.close()
    }

    short.failed(new CwmError('CLIENT_GONE', 'left'), 10)
    long.failed(new CwmError('CLIENT_GONE', 'left'), 80)

    expect(used()).toMatchObject({ requests: 2, tokens: 150 + 180 })
  })

  it('is given back, but for the request, if no engine computed', async () => {
    const charge = opened()
    await charge.reserve(need)
    charge.dispatched()

    charge.failed(new CwmError('UPSTREAM_REFUSED', 'refused'))

    expect(used()).toMatchObject({ requests: 1, tokens: 0 })
  })

  it('is given back as a whole if it was never dispatched, also if its client left while it was made', async () => {
    const [rejected, gone] = [opened(), opened()]
    await rejected.reserve(need)
    rejected.close()
    const making = gone.reserve(need)
    gone.close()
    await making

    expect(used()).toMatchObject({ requests: 0, tokens: 0 })
  })
})

describe('a refusal', () => {
  it('names the limit, what is used and what is needed, and leaves nothing reserved', async () => {
    await opened().reserve({ ...need, prompt: 850 })

    const refused = opened().reserve(need)

    await expect(refused).rejects.toMatchObject({
      code: 'RATE_LIMIT_EXCEEDED',
      retryAfterS: 60,
      message:
        'rate limit reached: your tokens_per_minute is 1000, 900 are used, and this request needs about 150. Try again in 60 s',
      headers: { 'x-ratelimit-limit-tokens': '1000', 'x-ratelimit-remaining-tokens': '100' },
    })
    expect(used()).toMatchObject({ requests: 1, tokens: 900 })
    expect(await metrics.text()).toContain('cwm_rate_limited_total{limit="tokens",of="tenant"} 1')
  })

  it('says if it is for good, and whose limit it is', async () => {
    const charge = opened({ tenant: { tokens: 1_000 }, key: { tokens: 120 } })

    await expect(charge.reserve(need)).rejects.toMatchObject({
      code: 'RATE_LIMIT_TOO_SMALL',
      status: 400,
      message: expect.stringContaining("needs about 150 tokens, and this key's tokens_per_minute is 120"),
    })
    expect(used()?.requests).toBe(0)
    expect(await metrics.text()).toContain('cwm_rate_limited_total{limit="size",of="key"} 1')
  })
})

describe('while the store is away', () => {
  it('this process counts alone, from nothing, and says so once', async () => {
    await opened().reserve({ ...need, prompt: 850 })
    isAway = true

    const first = opened()
    await first.reserve({ ...need, prompt: 850 })
    const second = opened().reserve(need)
    await expect(second).rejects.toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' })
    first.settle(usage({ promptTokens: 50, cachedTokens: 0, completionTokens: 10 }))
    await opened().reserve(need)
    const left = await limiter.read(caller({ tenant: { tokens: 1_000 } }))
    isAway = false
    ms += 1_000
    await expect(opened().reserve(need)).rejects.toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' })

    expect(left).toMatchObject({ tenant: { tokens: { limit: 1_000, remaining: 790 } }, key: {} })
    expect(lines).toEqual([
      'rate limits are counted by this proxy alone until the store answers',
      'rate limits are counted for all proxies together again',
    ])
    expect(await metrics.text()).toContain('cwm_rate_limit_fallbacks_total 3')
  })
})

it('a store that hangs is not waited for, and what it counts later is given back', async () => {
  let answer = () => {}
  const late = new Promise<void>((resolve) => {
    answer = resolve
  })
  const hanging = new RateLimiter({
    store: {
      takeRate: (...args) => late.then(() => windows.take(...args)),
      settleRate: async (...args) => windows.settle(...args),
      readRates: async (...args) => windows.read(...args),
    },
    metrics,
    log: { warn: () => {}, info: () => {} },
    now: () => ms,
  })
  const charge = hanging.open(caller({ tenant: { tokens: 1_000 } }), openAiRateHeaders)
  const start = performance.now()

  await charge?.reserve(need)
  const waitedMs = performance.now() - start
  answer()
  await vi.waitFor(() => expect(used()?.requests).toBe(0))

  expect(waitedMs).toBeGreaterThan(300)
  expect(charge?.headers['x-ratelimit-remaining-tokens']).toBe('850')
})
