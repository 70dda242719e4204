// The time axis of the charts, and what their steps show without data.

import { expect, it } from 'vitest'
import type { UsageLineJson } from '../../wire/usage.ts'
import { seriesOf } from './series.ts'

const noon = Date.UTC(2026, 10, 30, 12)
const MINUTE = 60_000

const lineAt = (at: number, more: Partial<UsageLineJson> = {}): UsageLineJson => ({
  at: new Date(at).toISOString(),
  requests: 6,
  errors: 3,
  aborted: 0,
  unmetered: 0,
  cache_unreported: 0,
  prompt_tokens: 600,
  cached_tokens: 450,
  computed_tokens: 150,
  completion_tokens: 60,
  restored_tokens: null,
  warmed_tokens: 0,
  repeats: 0,
  repeated_tokens: 15,
  longest_queue_ms: 4,
  first_token: { count: 0, mean_ms: null, buckets: [] },
  ...more,
})

it('begins a step before the first data, not an hour ago', () => {
  const { begin, end, times } = seriesOf([lineAt(noon - 5 * MINUTE)], 'hour', noon)

  expect([begin, end]).toEqual([noon / 1_000 - 360, noon / 1_000])
  expect(times).toHaveLength(6)
})

it('begins with the span if the data is older', () => {
  const { times } = seriesOf([lineAt(noon - 90 * MINUTE)], 'hour', noon)

  expect(times[0]).toBe((noon - 60 * MINUTE) / 1_000)
})

it('has rates per second, zero where nothing came, and null where nothing is known', () => {
  const { values } = seriesOf([lineAt(noon - 2 * MINUTE)], 'hour', noon)

  expect(values.requests).toEqual([0.1, 0, 0])
  expect(values.errors).toEqual([0.05, 0, 0])
  expect(values.prompt).toEqual([10, 0, 0])
  expect(values.cached).toEqual([75, null, null])
  expect(values.price).toEqual([10, null, null])
  expect(values.p50).toEqual([null, null, null])
  expect(values.queue).toEqual([4, null, null])
})

it('measures the running step by the time that has passed', () => {
  const { values } = seriesOf([lineAt(noon)], 'hour', noon + 30_000)

  expect(values.requests.at(-1)).toBe(0.2)
})

it('sums ten minutes of a day to one step', () => {
  const { times, values } = seriesOf([lineAt(noon - 20 * MINUTE), lineAt(noon - 11 * MINUTE)], 'day', noon)

  expect(times).toHaveLength(3)
  expect(values.requests).toEqual([0.02, 0, 0])
})

it('has an axis without any data', () => {
  const { begin, end, values } = seriesOf([], 'hour', noon)

  expect(end - begin).toBe(60)
  expect(values.requests).toEqual([0])
})
