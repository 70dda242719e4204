// Finds the session that a delivered history belongs to. The store knows what all processes have saved; memory knows what this process has
// announced but not saved yet. A history that two sessions hold is ambiguous, and stays ambiguous.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { Store } from '../store/store.ts'
import type { BoundaryHit } from '../store/store-values.ts'
import { ENTRY_BYTES, textBytes, valueBytes } from './heap-size.ts'

export interface HistoriesOptions {
  readonly store: Pick<Store, 'findBoundaries'>
  readonly now: Now
  /** Maximum bytes of all boundaries in memory; each takes about 300. */
  readonly maxHistoryBytes: number
  /** Milliseconds after which a history that was not continued is no longer recognized. */
  readonly boundaryTtlMs: number
}

interface KnownBoundary {
  readonly hit: BoundaryHit
  expiresAt: number
}

/** A boundary without its session id: two objects and a time. */
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

  /** Records that a session holds these histories, in addition to any earlier holder. */
  record(digests: readonly string[], sessionId: string): void {
    for (const digest of digests) {
      const known = this.#known.get(digest)
      const at = this.#options.now()
      // Each turn records its boundaries twice: when its answer is complete, and when it is stored.
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

  /** Marks these histories as ambiguous, because it is no longer known which sessions hold them. */
  invalidate(digests: readonly string[]): void {
    for (const digest of digests) this.#set(digest, 'ambiguous')
  }

  /** Drops the histories that only this session holds, because the store has them. */
  dropStored(digests: readonly string[], sessionId: string): void {
    for (const digest of digests) {
      const hit = this.#known.peek(digest)?.hit
      if (hit !== undefined && hit !== 'ambiguous' && hit.sessionId === sessionId) this.#known.delete(digest)
    }
  }

  /** Drops these histories from memory. The store keeps what it has. */
  forget(digests: readonly string[]): void {
    for (const digest of digests) this.#known.delete(digest)
  }

  /** The holder of a history as far as this process knows, without querying the store. */
  peek(digest: string): BoundaryHit | undefined {
    const known = this.#known.get(digest)
    return known === undefined || known.expiresAt <= this.#options.now() ? undefined : known.hit
  }

  /**
   * The holders of these histories, by digest. Queries the store each time: a session of another process may have delivered a history that
   * this process knows as its own session's. That history is then ambiguous.
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
