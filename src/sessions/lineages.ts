// Assigns lineages to new sessions, and records which lineages must no longer be dispatched.

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { randomId } from '../base/ids.ts'
import type { Sharing } from '../base/records.ts'
import type { Isolation } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'
import { ENTRY_BYTES, textBytes } from './heap-size.ts'

/** Maximum bytes of retired lineages in memory. That is over 20,000, more than can be in use between two queries of the store. */
const RETIRED_BYTES = 4 * 1024 * 1024

export interface Origin {
  readonly tenant: string
  readonly isolation: Isolation
  /** The user that the client named; undefined if it named none. */
  readonly user: string | undefined
}

/** A new session's lineage, and who shares it. `shared` is absent if nobody else does. */
export interface NewLineage {
  readonly lineage: string
  readonly shared?: Sharing
}

export class Lineages {
  readonly #store: Pick<Store, 'claimLineage' | 'isRetired'>
  readonly #retired = new LRUCache<string, true>({
    maxSize: RETIRED_BYTES,
    sizeCalculation: (_true, key) => ENTRY_BYTES + textBytes(key),
  })

  constructor(store: Pick<Store, 'claimLineage' | 'isRetired'>) {
    this.#store = store
  }

  /** The lineage for a new session: a new one, or the one that its user or tenant shares. */
  async begin({ tenant, isolation, user }: Origin): Promise<NewLineage> {
    const key = sharingKey(isolation, user)
    if (key === undefined) return { lineage: randomId() }
    const shared = isolation === 'user' ? 'user' : 'tenant'
    return { lineage: await this.#store.claimLineage(tenant, key, randomId()), shared }
  }

  /** Makes `isRetired` true for this lineage, so that this process dispatches nothing more under it. */
  retire(tenant: string, lineage: string): void {
    this.#retired.set(keyOf(tenant, lineage), true)
  }

  isRetired(tenant: string, lineage: string): boolean {
    return this.#retired.size > 0 && this.#retired.has(keyOf(tenant, lineage))
  }
}

/**
 * The store's key for a shared lineage; undefined if the lineage is not shared. Users are hashed, so keys are short and the store does not
 * contain the users. JSON comes first: it distinguishes users that differ only in lone surrogates, which UTF-8 cannot represent.
 */
function sharingKey(isolation: Isolation, user: string | undefined): string | undefined {
  if (isolation === 'tenant') return 'tenant'
  if (isolation !== 'user' || user === undefined) return undefined
  return `user:${createHash('sha256').update(JSON.stringify(user)).digest('base64url')}`
}

function keyOf(tenant: string, lineage: string): string {
  return JSON.stringify([tenant, lineage])
}
