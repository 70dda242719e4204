// Boundaries that this process has read or written, in their stored state. Code that changes boundaries in the file must update or drop
// them here.

import { LRUCache } from 'lru-cache'

/** The approximate bytes of an entry. */
const MAX_BYTES = 4 * 1024 * 1024
const ENTRY_BYTES = 190

export interface StoredBoundary {
  /** Null: ambiguous. */
  readonly sessionId: string | null
  readonly expiresAt: number
  readonly rank: number
}

export class BoundaryCache {
  readonly #entries = new LRUCache<string, StoredBoundary>({
    maxSize: MAX_BYTES,
    sizeCalculation: (_stored, key) => ENTRY_BYTES + key.length,
  })

  get(tenant: string, digest: string): StoredBoundary | undefined {
    return this.#entries.get(keyOf(tenant, digest))
  }

  set(tenant: string, digest: string, stored: StoredBoundary): void {
    this.#entries.set(keyOf(tenant, digest), stored)
  }

  delete(tenant: string, digest: string): void {
    this.#entries.delete(keyOf(tenant, digest))
  }

  clear(): void {
    this.#entries.clear()
  }
}

/** A tenant's id contains no line break. */
function keyOf(tenant: string, digest: string): string {
  return `${tenant}\n${digest}`
}
