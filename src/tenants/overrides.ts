// Per-tenant overrides of the operator's near-limit policy, as tenants set them by REST. Cached, so that a turn does not read the store.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { Caller, NearLimitOverrides } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'

/** Tenants whose overrides are cached. */
const MAX_TENANTS = 10_000
/** A change made through another proxy takes effect here within this time. */
const FRESH_MS = 5_000

interface CacheEntry {
  readonly overrides: NearLimitOverrides
  readonly readAt: number
}

export class TenantOverrides {
  readonly #store: Pick<Store, 'getOverrides' | 'putOverrides'>
  readonly #now: Now
  readonly #cache = new LRUCache<string, CacheEntry>({ max: MAX_TENANTS })
  /** By tenant. */
  readonly #reads = new SingleFlight<NearLimitOverrides>()

  constructor(store: Pick<Store, 'getOverrides' | 'putOverrides'>, now: Now) {
    this.#store = store
    this.#now = now
  }

  /**
   * Applies the tenant's overrides to a caller. Waits for the store only if nothing is cached; a stale entry is refreshed in the background.
   * While the store is unavailable, the cached overrides stay in force, or without any, the operator's policy.
   */
  applyTo(caller: Caller): Caller | Promise<Caller> {
    const known = this.#cache.get(caller.tenant)
    if (known === undefined) {
      return this.#read(caller.tenant).then(
        (overrides) => withOverrides(caller, overrides),
        () => {
          // Cached as stale, so that no later request waits for an unavailable store.
          this.#cache.set(caller.tenant, { overrides: {}, readAt: Number.NEGATIVE_INFINITY })
          return caller
        },
      )
    }
    if (this.#now() - known.readAt > FRESH_MS) this.#read(caller.tenant).catch(() => {})
    return withOverrides(caller, known.overrides)
  }

  /** Reads the overrides from the store. Throws `STORE_UNAVAILABLE`. */
  get(tenant: string): Promise<NearLimitOverrides> {
    return this.#read(tenant)
  }

  /** Takes effect from the tenant's next turn, on other proxies within five seconds. Throws `STORE_UNAVAILABLE`. */
  async put(tenant: string, overrides: NearLimitOverrides): Promise<void> {
    await this.#store.putOverrides(tenant, overrides)
    this.#cache.set(tenant, { overrides, readAt: this.#now() })
  }

  /** For a tenant that was erased. */
  forget(tenant: string): void {
    this.#cache.delete(tenant)
  }

  #read(tenant: string): Promise<NearLimitOverrides> {
    return this.#reads.run(tenant, () => this.#fetch(tenant))
  }

  async #fetch(tenant: string): Promise<NearLimitOverrides> {
    const began = this.#now()
    const overrides = await this.#store.getOverrides(tenant)
    const known = this.#cache.get(tenant)
    // A `put` during the read is newer than what was read.
    if (known !== undefined && known.readAt > began) return known.overrides
    this.#cache.set(tenant, { overrides, readAt: this.#now() })
    return overrides
  }
}

function withOverrides(caller: Caller, overrides: NearLimitOverrides): Caller {
  if (overrides.freezeAt === undefined && overrides.overflow === undefined) return caller
  const { policy } = caller
  return { ...caller, policy: { ...policy, nearLimit: { ...policy.nearLimit, ...overrides } } }
}
