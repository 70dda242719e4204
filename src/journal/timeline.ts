// The last hour of each tenant, in buckets of ten seconds: what was prompted, what of it was cached, how soon the first token came. In
// memory, of this process: a picture for people, not an account.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'

export interface Bucket {
  /** Where it begins, milliseconds since the epoch. */
  readonly at: number
  /** Answers with usage. */
  turns: number
  promptTokens: number
  cachedTokens: number
  /** Streams that began. */
  streams: number
  /** Sum over these, from dispatch to first byte, milliseconds. */
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

  /** An answer is whole. `cached`: undefined where the engine does not tell; then it counts for nothing. */
  recordUsage(tenant: string, prompt: number, cached: number | undefined): void {
    if (cached === undefined) return
    const bucket = this.#current(tenant)
    bucket.turns++
    bucket.promptTokens += prompt
    bucket.cachedTokens += cached
  }

  /** The first bytes of a stream are here. */
  recordFirstByte(tenant: string, ms: number): void {
    const bucket = this.#current(tenant)
    bucket.streams++
    bucket.ttftMs += ms
    bucket.slowestMs = Math.max(bucket.slowestMs, ms)
  }

  /** Buckets that hold anything, oldest first. */
  bucketsOf(tenant: string): readonly Readonly<Bucket>[] {
    const oldest = this.#now() - BUCKETS * BUCKET_MS
    return (this.#tenants.get(tenant) ?? []).filter(({ at }) => at > oldest)
  }

  /** After the tenant was erased. */
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
    // A clock that was set back writes on in the bucket that is there.
    if (last !== undefined && last.at >= at) return last
    const bucket = { at, turns: 0, promptTokens: 0, cachedTokens: 0, streams: 0, ttftMs: 0, slowestMs: 0 }
    buckets.push(bucket)
    if (buckets.length > BUCKETS) buckets.shift()
    return bucket
  }
}
