// What the ledger's reports say in figures: sums over rows, shares, and percentiles. Null where nobody knows.

import type { UsageLineJson } from '../wire/usage.ts'

type Buckets = UsageLineJson['first_token']['buckets']

/** Sums of several rows. Null if no row reported it. */
export interface Sums {
  readonly requests: number
  readonly errors: number
  readonly aborted: number
  readonly promptTokens: number | null
  readonly cachedTokens: number | null
  readonly computedTokens: number | null
  readonly completionTokens: number | null
  readonly repeatedTokens: number
  /** The greatest of all rows. Null without rows. */
  readonly longestQueueMs: number | null
  readonly buckets: Buckets
}

export function sumLines(lines: readonly UsageLineJson[]): Sums {
  const add = (of: (line: UsageLineJson) => number) => lines.reduce((sum, line) => sum + of(line), 0)
  return {
    requests: add((line) => line.requests),
    errors: add((line) => line.errors),
    aborted: add((line) => line.aborted),
    promptTokens: sumKnown(lines.map((line) => line.prompt_tokens)),
    cachedTokens: sumKnown(lines.map((line) => line.cached_tokens)),
    computedTokens: sumKnown(lines.map((line) => line.computed_tokens)),
    completionTokens: sumKnown(lines.map((line) => line.completion_tokens)),
    repeatedTokens: add((line) => line.repeated_tokens),
    longestQueueMs: lines.length === 0 ? null : Math.max(...lines.map((line) => line.longest_queue_ms)),
    buckets: sumBuckets(lines.map(({ first_token }) => first_token.buckets)),
  }
}

/** The cached part of the prompts whose cached part is known, 0 to 1. */
export function cachedShare({ cachedTokens, computedTokens }: Sums): number | null {
  return shareOf(cachedTokens, (cachedTokens ?? 0) + (computedTokens ?? 0))
}

/** Tokens that were computed again because sessions are isolated, as a share of all computed ones, 0 to 1. */
export function isolationPrice({ repeatedTokens, computedTokens }: Sums): number | null {
  return computedTokens === null ? null : shareOf(repeatedTokens, computedTokens)
}

/**
 * The time to the first token that a share `q` of requests did not exceed, milliseconds: interpolated within its bucket. The last bound if it
 * is above. Null without requests.
 */
export function percentile(buckets: Buckets, q: number): number | null {
  const count = buckets.reduce((sum, bucket) => sum + bucket.count, 0)
  if (count === 0) return null
  let [below, lower] = [0, 0]
  for (const bucket of buckets) {
    const upper = bucket.le_ms
    if (upper === null) break
    if (below + bucket.count >= q * count) {
      return bucket.count === 0 ? lower : lower + ((upper - lower) * (q * count - below)) / bucket.count
    }
    below += bucket.count
    lower = upper
  }
  return lower
}

function shareOf(part: number | null, whole: number): number | null {
  return part === null || whole === 0 ? null : part / whole
}

function sumKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0)
}

function sumBuckets(all: readonly Buckets[]): Buckets {
  const [first = []] = all
  return first.map(({ le_ms }, n) => ({ le_ms, count: all.reduce((sum, one) => sum + (one[n]?.count ?? 0), 0) }))
}
