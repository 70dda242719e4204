// The ledger's minutes as series for the charts, on a time axis that begins with the data.

import type { UsageLineJson } from '../../wire/usage.ts'
import { cachedShare, isolationPrice, percentile, sumLines } from '../figures.ts'

const MINUTE_MS = 60_000

export const spans = {
  hour: { title: 'Last hour', ms: 60 * MINUTE_MS, stepMs: MINUTE_MS },
  day: { title: 'Last day', ms: 24 * 60 * MINUTE_MS, stepMs: 10 * MINUTE_MS },
} as const
export type Span = keyof typeof spans

/** A rate of the last seconds only would jump. */
const MIN_ELAPSED_MS = 10_000

const names = ['requests', 'errors', 'prompt', 'completion', 'cached', 'p50', 'p95', 'queue', 'price'] as const
export type SeriesName = (typeof names)[number]

export interface Series {
  /** Of the axis, seconds since the epoch. */
  readonly begin: number
  readonly end: number
  /** When each step begins, seconds since the epoch. */
  readonly times: readonly number[]
  /** Per step. Rates are per second, shares in percent, times in milliseconds. Null: no data. */
  readonly values: Readonly<Record<SeriesName, readonly (number | null)[]>>
}

/** `lines`: one per minute that has any. `now`: milliseconds since the epoch. */
export function seriesOf(lines: readonly UsageLineJson[], span: Span, now: number): Series {
  const { ms, stepMs } = spans[span]
  const floor = (at: number) => at - (at % stepMs)
  const steps = new Map<number, UsageLineJson[]>()
  for (const line of lines) {
    const at = floor(Date.parse(line.at ?? ''))
    steps.set(at, [...(steps.get(at) ?? []), line])
  }
  const first = Math.max(floor(now - ms), Math.min(now, ...steps.keys()))
  const points: Record<SeriesName, number | null>[] = []
  const times: number[] = []
  for (let at = floor(first); at <= now; at += stepMs) {
    times.push(at / 1_000)
    points.push(pointOf(steps.get(at) ?? [], Math.max(MIN_ELAPSED_MS, Math.min(stepMs, now - at)) / 1_000))
  }
  const values = Object.fromEntries(names.map((name) => [name, points.map((point) => point[name])]))
  return { begin: (first - stepMs) / 1_000, end: now / 1_000, times, values: values as unknown as Series['values'] }
}

/** A step without a row had no requests: its rates are zero, and all else is unknown. */
function pointOf(lines: readonly UsageLineJson[], seconds: number): Record<SeriesName, number | null> {
  const sums = sumLines(lines)
  const rate = (sum: number | null) => (lines.length === 0 ? 0 : sum === null ? null : round(sum / seconds))
  const percent = (share: number | null) => (share === null ? null : round(100 * share))
  const ms = (time: number | null) => (time === null ? null : Math.round(time))
  return {
    requests: rate(sums.requests),
    errors: rate(sums.errors),
    prompt: rate(sums.promptTokens),
    completion: rate(sums.completionTokens),
    cached: percent(cachedShare(sums)),
    p50: ms(percentile(sums.buckets, 0.5)),
    p95: ms(percentile(sums.buckets, 0.95)),
    queue: sums.longestQueueMs,
    price: percent(isolationPrice(sums)),
  }
}

const round = (value: number) => Math.round(value * 1_000) / 1_000
