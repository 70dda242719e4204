// Percentiles from a histogram, and sums where some rows know more than others.

import { describe, expect, it } from 'vitest'
import type { UsageLineJson } from '../wire/usage.ts'
import { cachedShare, isolationPrice, percentile, sumLines } from './figures.ts'

const bounds = [25, 50, 100, null]
const histogram = (...counts: number[]) => bounds.map((le_ms, n) => ({ le_ms, count: counts[n] ?? 0 }))

const line = (values: Partial<UsageLineJson>): UsageLineJson => ({
  requests: 1,
  errors: 0,
  aborted: 0,
  unmetered: 0,
  cache_unreported: 0,
  prompt_tokens: 100,
  cached_tokens: 60,
  computed_tokens: 40,
  completion_tokens: 10,
  restored_tokens: null,
  warmed_tokens: 0,
  repeats: 0,
  repeated_tokens: 0,
  longest_queue_ms: 0,
  first_token: { count: 1, mean_ms: 20, buckets: histogram(1) },
  ...values,
})

describe('percentile', () => {
  it.each([
    ['halfway into the only bucket', histogram(10), 0.5, 12.5],
    ['at the end of a bucket', histogram(5, 5), 0.5, 25],
    ['in a later bucket', histogram(0, 10, 10), 0.75, 75],
    ['at the last bound, if it is above', histogram(0, 0, 0, 4), 0.5, 100],
    ['unknown without requests', histogram(), 0.5, null],
  ])('%s', (_, buckets, q, expected) => {
    expect(percentile(buckets, q)).toBe(expected)
  })
})

describe('sums', () => {
  it('add what rows know, and take the longest wait', () => {
    const sums = sumLines([
      line({ longest_queue_ms: 7 }),
      line({ requests: 2, longest_queue_ms: 3, repeated_tokens: 8 }),
      line({ prompt_tokens: null, cached_tokens: null, computed_tokens: null, completion_tokens: null }),
    ])

    expect(sums).toMatchObject({ requests: 4, promptTokens: 200, cachedTokens: 120, longestQueueMs: 7 })
    expect([cachedShare(sums), isolationPrice(sums)]).toEqual([0.6, 0.1])
  })

  it('are null if no row knows, never zero', () => {
    const sums = sumLines([
      line({ prompt_tokens: null, cached_tokens: null, computed_tokens: null, completion_tokens: null }),
    ])

    expect([sums.promptTokens, sums.completionTokens, cachedShare(sums), isolationPrice(sums)]).toEqual([
      null,
      null,
      null,
      null,
    ])
    expect(sumLines([]).longestQueueMs).toBeNull()
  })
})
