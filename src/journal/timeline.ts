// The last hour of each tenant in ten-second buckets: prompt tokens, cached tokens, and time to first token. Kept in this process's memory:
// it feeds charts, and is not an exact record.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'

export interface Bucket {
  /** Start time, milliseconds since the epoch. */
  readonly at: number
  /** Answers that reported usage. */
  turns: number
  promptTokens: number
  cachedTokens: number
  /** Streams whose first bytes arrived. */
  streams: number
  /** Sum over these streams, from dispatch to first byte, milliseconds. */
  ttftMs: number
  slowestMs: number
}

export const BUCKET_MS = 10_000
const BUCKETS = 360
const MAX_TENANTS = 1_000

export class Timeline {
  readonly #now: Now
  readonly #tenants = new LRUCache<string, Bucket[]>({ max: MAX_TENANTS })

  constructor(now: Now) {
    this.#now = now
  }

  /** Counts a complete answer. If the engine does not report cached tokens (`cached` undefined), the answer is left out. */
  recordUsage(tenant: string, prompt: number, cached: number | undefined): void {
    if (cached === undefined) return
    const bucket = this.#current(tenant)
    bucket.turns++
    bucket.promptTokens += prompt
    bucket.cachedTokens += cached
  }

  /** Counts a stream whose first bytes arrived after `ms`. */
  recordFirstByte(tenant: string, ms: number): void {
    const bucket = this.#current(tenant)
    bucket.streams++
    bucket.ttftMs += ms
    bucket.slowestMs = Math.max(bucket.slowestMs, ms)
  }

  /** The tenant's non-empty buckets, oldest first. */
  bucketsOf(tenant: string): readonly Readonly<Bucket>[] {
    const oldest = this.#now() - BUCKETS * BUCKET_MS
    return (this.#tenants.get(tenant) ?? []).filter(({ at }) => at > oldest)
  }

  /** For a tenant that was erased. */
  forget(tenant: string): void {
    this.#tenants.delete(tenant)
  }

  #current(tenant: string): Bucket {
    const at = Math.floor(this.#now() / BUCKET_MS) * BUCKET_MS
    let buckets = this.#tenants.get(tenant)
    if (buckets === undefined) {
      buckets = []
      this.#tenants.set(tenant, buckets)
    }
    const last = buckets.at(-1)
    // If the clock was set back, keep using the newest bucket.
    if (last !== undefined && last.at >= at) return last
    const bucket = { at, turns: 0, promptTokens: 0, cachedTokens: 0, streams: 0, ttftMs: 0, slowestMs: 0 }
    buckets.push(bucket)
    if (buckets.length > BUCKETS) buckets.shift()
    return bucket
  }
}
