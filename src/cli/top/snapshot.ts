// What `cwm top` shows: one reading of health, engines, sessions, usage, and metrics. What a key may not read is null.

import type { EngineJson, EngineListJson } from '../../wire/engines.ts'
import type { HealthJson } from '../../wire/health.ts'
import type { PageJson } from '../../wire/lists.ts'
import type { SessionJson } from '../../wire/sessions.ts'
import type { UsageJson, UsageLineJson } from '../../wire/usage.ts'
import { readHealth } from '../client/health.ts'
import { RefusedError, type Rest } from '../client/rest.ts'

const MAX_SESSIONS = 1_000
/** The span of averages and first-token times. */
export const SPAN_MS = 5 * 60_000

type HealthEngine = HealthJson['engines'][number]
export type TopEngine = Pick<HealthEngine, 'id' | 'state' | 'breaker' | 'in_flight' | 'error'> &
  Partial<Pick<EngineJson, 'placements' | 'models' | 'drained'>>

export interface Snapshot {
  readonly at: string
  readonly url: string
  readonly health: HealthJson
  /** Null: the key may not see them. */
  readonly engines: readonly TopEngine[] | null
  /** Most recent turn first, at most 1,000. Null for the operator's key without a tenant. */
  readonly sessions: readonly SessionJson[] | null
  /** All of them, not only those read. */
  readonly sessions_total: number | null
  /** Of the proxy, if the caller may read its metrics. */
  readonly requests_in_flight: number | null
  readonly requests_queued: number | null
  /** Of the last five minutes, for the key's tenant, or all tenants for the operator. */
  readonly usage: UsageSums
}

export interface UsageSums {
  readonly requests: number
  readonly errors: number
  readonly prompt_tokens: number
  readonly cached_tokens: number
  readonly completion_tokens: number
  readonly longest_queue_ms: number
  /** Completion tokens per second: since the previous reading, or the average of the span for a first one. */
  readonly tokens_per_second: number
  /** Estimates within buckets. Null without requests. */
  readonly first_token_p50_ms: number | null
  readonly first_token_p95_ms: number | null
}

/** Completion tokens by minute, and when they were read: what the next rate is computed from. */
interface Counted {
  readonly atMs: number
  readonly byMinute: ReadonlyMap<string, number>
}

/** How many readings a rate spans, so that it does not jump with each answer. */
const READINGS = 5

/** Reads snapshots, and computes rates between them. */
export class SnapshotReader {
  readonly #rest: Rest
  readonly #now: () => number
  #earlier: Counted[] = []

  constructor(rest: Rest, now: () => number) {
    this.#rest = rest
    this.#now = now
  }

  /** Throws `UnreachableError`, `RefusedError` if not even usage may be read, and the signal's reason. */
  async read(signal: AbortSignal): Promise<Snapshot> {
    const rest = this.#rest
    const now = this.#now()
    const [health, engines, sessions, usage, metrics] = await Promise.all([
      readHealth(rest, signal),
      orNull(rest.json<EngineListJson>('/cwm/v1/engines', { signal })),
      orNull(
        rest.json<PageJson<SessionJson> & { total?: number }>('/cwm/v1/sessions', {
          query: { limit: MAX_SESSIONS, count: 'true' },
          signal,
        }),
      ),
      rest.json<UsageJson>('/cwm/v1/usage', {
        query: { by: 'minute', from: new Date(now - SPAN_MS).toISOString() },
        signal,
      }),
      orNull(rest.send('/cwm/metrics', { signal }).then((response) => response.text())),
    ])
    return {
      at: new Date(now).toISOString(),
      url: rest.url,
      health,
      engines: engines?.data ?? (health.engines.length === 0 ? null : health.engines),
      sessions: sessions?.data ?? null,
      sessions_total: sessions === null ? null : (sessions.total ?? sessions.data.length),
      requests_in_flight: metrics === null ? null : sumOfMetric(metrics, 'cwm_requests_in_flight'),
      requests_queued: metrics === null ? null : sumOfMetric(metrics, 'cwm_requests_queued'),
      usage: this.#sum(usage.data, now),
    }
  }

  #sum(lines: readonly UsageLineJson[], now: number): UsageSums {
    const total = (read: (line: UsageLineJson) => number | null) =>
      lines.reduce((sum, line) => sum + (read(line) ?? 0), 0)
    return {
      requests: total(({ requests }) => requests),
      errors: total(({ errors }) => errors),
      prompt_tokens: total(({ prompt_tokens }) => prompt_tokens),
      cached_tokens: total(({ cached_tokens }) => cached_tokens),
      completion_tokens: total(({ completion_tokens }) => completion_tokens),
      longest_queue_ms: Math.max(0, ...lines.map(({ longest_queue_ms }) => longest_queue_ms)),
      tokens_per_second: this.#rate(lines, now),
      first_token_p50_ms: quantile(lines, 0.5),
      first_token_p95_ms: quantile(lines, 0.95),
    }
  }

  #rate(lines: readonly UsageLineJson[], now: number): number {
    const byMinute = new Map(lines.map(({ at, completion_tokens }) => [at ?? '', completion_tokens ?? 0]))
    const before = this.#earlier[0]
    this.#earlier = [...this.#earlier, { atMs: now, byMinute }].slice(-READINGS)
    if (before === undefined || now <= before.atMs) {
      return [...byMinute.values()].reduce((sum, tokens) => sum + tokens, 0) / (SPAN_MS / 1_000)
    }
    // Minutes that have left the span count nothing.
    const added = [...byMinute].reduce((sum, [at, tokens]) => sum + tokens - (before.byMinute.get(at) ?? 0), 0)
    return Math.max(0, added / ((now - before.atMs) / 1_000))
  }
}

/** What the key may not read is null. */
async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading
  } catch (thrown) {
    if (thrown instanceof RefusedError) return null
    throw thrown
  }
}

/** The sum over all labels in Prometheus' text format; 0 if it has no value yet. */
export function sumOfMetric(text: string, name: string): number {
  let sum = 0
  for (const line of text.split('\n')) {
    const [, value] = new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`).exec(line) ?? []
    if (value !== undefined) sum += Number(value)
  }
  return sum
}

/** A quantile of first-token times, linear within its bucket; for the last bucket, which has no bound, its lower bound. Null without requests. */
export function quantile(lines: readonly Pick<UsageLineJson, 'first_token'>[], share: number): number | null {
  const sums = new Map<number, number>()
  for (const { first_token } of lines) {
    for (const { le_ms, count } of first_token.buckets) {
      const bound = le_ms ?? Number.POSITIVE_INFINITY
      sums.set(bound, (sums.get(bound) ?? 0) + count)
    }
  }
  const buckets = [...sums].sort(([a], [b]) => a - b)
  const wanted = share * buckets.reduce((sum, [, count]) => sum + count, 0)
  if (wanted === 0) return null
  let below = 0
  let lower = 0
  for (const [upper, count] of buckets) {
    if (count > 0 && below + count >= wanted) {
      return Number.isFinite(upper) ? lower + ((upper - lower) * (wanted - below)) / count : lower
    }
    below += count
    lower = upper
  }
  return lower
}
