import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMetrics } from '../base/metrics.ts'
import type { TenantUsage } from '../base/records.ts'
import { TotalUsage } from './total-usage.ts'

const usage: TenantUsage = { windows: 2, windowBytes: 3, sessions: 4, pinnedTokens: 500 }

let now = 0
let asked = 0
let answer: () => Promise<TenantUsage>
let total: TotalUsage
beforeEach(() => {
  now = 0
  asked = 0
  answer = () => Promise.resolve(usage)
  const usageOfAll = () => {
    asked++
    return answer()
  }
  total = new TotalUsage({ usageOfAll }, () => now)
})
afterEach(() => vi.useRealTimers())

describe('the usage of all tenants', () => {
  it('is read once for concurrent callers, and again after five seconds', async () => {
    const both = await Promise.all([total.read(), total.read()])
    now = 4_999
    await total.read()
    const before = asked
    now = 5_000
    await total.read()

    expect([both, before, asked]).toEqual([[usage, usage], 1, 2])
  })

  it('is cached for twenty times the duration of its read', async () => {
    answer = () => {
      now += 1_000
      return Promise.resolve(usage)
    }
    await total.read()
    now = 20_999
    await total.read()

    expect(asked).toBe(1)
  })

  it('is unknown while the store fails, and known again afterwards', async () => {
    answer = () => Promise.reject(new Error('away'))
    const away = await total.read()
    answer = () => Promise.resolve(usage)
    now = 5_000

    expect([away, await total.read()]).toEqual([undefined, usage])
  })

  it('is unknown after a second without an answer, and is not read a second time meanwhile', async () => {
    vi.useFakeTimers()
    answer = () => new Promise(() => {})
    const reads = Promise.all([total.read(), total.read()])
    await vi.advanceTimersByTimeAsync(1_000)

    expect([await reads, asked]).toEqual([[undefined, undefined], 1])
  })
})

describe('a late answer', () => {
  it('delays nobody while the last one is fresh enough, and is unknown afterwards', async () => {
    vi.useFakeTimers()
    await total.read()
    answer = () => new Promise(() => {})
    const readAt = async (at: number) => {
      now = at
      const read = total.read()
      await vi.advanceTimersByTimeAsync(1_000)
      return await read
    }

    expect([await readAt(9_999), await readAt(10_000), asked]).toEqual([usage, undefined, 2])
  })
})

describe('its gauges', () => {
  it('show the sums, and nothing while the store is unavailable', async () => {
    const metrics = createMetrics()
    metrics.watchUsage(() => total.read())
    const gauges = async () => (await metrics.text()).match(/^cwm_(sessions|windows|pinned_tokens) .*$/gm)

    const known = await gauges()
    answer = () => Promise.reject(new Error('away'))
    now = 5_000
    const away = await gauges()

    expect(known).toEqual(['cwm_sessions 4', 'cwm_windows 2', 'cwm_pinned_tokens 500'])
    expect(away).toBeNull()
    expect(asked).toBe(2)
  })
})
