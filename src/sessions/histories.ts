// Which session a delivered history belongs to: the store knows what all processes have saved, memory what this one has announced and
// not saved yet. Two sessions that came to hold the same words are ambiguous, and stay so.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { BoundaryHit, Store } from '../store/store.ts'
import { ENTRY_BYTES, textBytes, valueBytes } from './heap-size.ts'

export interface HistoriesOptions {
  readonly store: Pick<Store, 'findBoundaries'>
  readonly now: Now
  /** Of all boundaries kept in memory, bytes; about 300 each. */
  readonly maxHistoryBytes: number
  /** Milliseconds after which a history that nobody continued is no longer recognised. */
  readonly boundaryTtlMs: number
}

interface KnownBoundary {
  readonly hit: BoundaryHit
  expiresAt: number
}

/** One without the id of its session: two objects, a time, and what a set of them takes. */
const BOUNDARY_BYTES = valueBytes({ hit: { sessionId: '' }, expiresAt: Number.MAX_SAFE_INTEGER })

export class Histories {
  readonly #options: HistoriesOptions
  readonly #known: LRUCache<string, KnownBoundary>

  constructor(options: HistoriesOptions) {
    this.#options = options
    this.#known = new LRUCache({
      maxSize: options.maxHistoryBytes,
      sizeCalculation: ({ hit }, digest) =>
        ENTRY_BYTES + textBytes(digest) + BOUNDARY_BYTES + (hit === 'ambiguous' ? 0 : hit.sessionId.length),
    })
  }

  /** A session holds these histories now, beside whoever did before. */
  record(digests: readonly string[], sessionId: string): void {
    for (const digest of digests) {
      const known = this.#known.get(digest)
      const at = this.#options.now()
      // A turn notes its boundaries twice: when its answer is whole, and when it is stored.
      if (
        known !== undefined &&
        known.expiresAt > at &&
        known.hit !== 'ambiguous' &&
        known.hit.sessionId === sessionId
      ) {
        known.expiresAt = at + this.#options.boundaryTtlMs
      } else this.#set(digest, mergeHits(this.peek(digest), { sessionId }))
    }
  }

  /** Marks these as ambiguous, because it is no longer known which sessions hold them. */
  invalidate(digests: readonly string[]): void {
    for (const digest of digests) this.#set(digest, 'ambiguous')
  }

  /** Forgets those that only this session holds, because the store has them. */
  dropStored(digests: readonly string[], sessionId: string): void {
    for (const digest of digests) {
      const hit = this.#known.peek(digest)?.hit
      if (hit !== undefined && hit !== 'ambiguous' && hit.sessionId === sessionId) this.#known.delete(digest)
    }
  }

  /** Takes back what was noted. What the store has remains. */
  forget(digests: readonly string[]): void {
    for (const digest of digests) this.#known.delete(digest)
  }

  /** What this process knows of a history, without asking the store. */
  peek(digest: string): BoundaryHit | undefined {
    const known = this.#known.get(digest)
    return known === undefined || known.expiresAt <= this.#options.now() ? undefined : known.hit
  }

  /**
   * Who holds these histories, by digest. The store is asked each time: another process may have come to hold one that this process knows
   * as its own session's, and then nobody may have it.
   */
  async find(tenant: string, digests: readonly string[]): Promise<ReadonlyMap<string, BoundaryHit>> {
    const { store, now } = this.#options
    const hits = new Map(await store.findBoundaries(tenant, digests, now()))
    for (const digest of digests) {
      const known = this.peek(digest)
      if (known !== undefined) hits.set(digest, mergeHits(hits.get(digest), known))
    }
    return hits
  }

  #set(digest: string, hit: BoundaryHit): void {
    this.#known.set(digest, { hit, expiresAt: this.#options.now() + this.#options.boundaryTtlMs })
  }
}

function mergeHits(known: BoundaryHit | undefined, hit: BoundaryHit): BoundaryHit {
  if (known === undefined) return hit
  if (known === 'ambiguous' || hit === 'ambiguous') return 'ambiguous'
  return known.sessionId === hit.sessionId ? hit : 'ambiguous'
}
