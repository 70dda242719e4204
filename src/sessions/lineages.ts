// Which lineage a new session gets, and which lineages may no longer be dispatched.

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { randomId } from '../base/ids.ts'
import type { Sharing } from '../base/records.ts'
import type { Isolation } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'
import { ENTRY_BYTES, textBytes } from './heap-size.ts'

/** Retired lineages remembered here, bytes; 20,000 and more: more than can be in use between two questions to the store. */
const RETIRED_BYTES = 4 * 1024 * 1024

export interface Origin {
  readonly tenant: string
  readonly isolation: Isolation
  /** Whom the client named; undefined when it named nobody. */
  readonly user: string | undefined
}

/** A session's lineage, and with whom it is shared, if it is. */
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

  /** The lineage for a session that begins: its own, or the one that its user or tenant shares. */
  async begin({ tenant, isolation, user }: Origin): Promise<NewLineage> {
    const key = sharingKey(isolation, user)
    if (key === undefined) return { lineage: randomId() }
    const shared = isolation === 'user' ? 'user' : 'tenant'
    return { lineage: await this.#store.claimLineage(tenant, key, randomId()), shared }
  }

  /** From now on this process dispatches nothing under it. */
  retire(tenant: string, lineage: string): void {
    this.#retired.set(keyOf(tenant, lineage), true)
  }

  isRetired(tenant: string, lineage: string): boolean {
    return this.#retired.size > 0 && this.#retired.has(keyOf(tenant, lineage))
  }
}

/**
 * What a lineage is kept under in the store; undefined when nobody shares it. Users are hashed: whatever their length, the key is short;
 * who they are is not in the store; and JSON tells two apart that differ in what UTF-8 cannot say (lone surrogates).
 */
function sharingKey(isolation: Isolation, user: string | undefined): string | undefined {
  if (isolation === 'tenant') return 'tenant'
  if (isolation !== 'user' || user === undefined) return undefined
  return `user:${createHash('sha256').update(JSON.stringify(user)).digest('base64url')}`
}

function keyOf(tenant: string, lineage: string): string {
  return JSON.stringify([tenant, lineage])
}
