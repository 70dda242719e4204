// Per-tenant overrides of the operator's near-limit policy, as tenants set them by REST. Cached, so that a turn does not read the store.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { Caller, TenantChoices } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'

/** Tenants whose overrides are cached. */
const MAX_TENANTS = 10_000
/** A change made through another proxy takes effect here within this time. */
const FRESH_MS = 5_000

interface CacheEntry {
  readonly choices: TenantChoices
  readonly readAt: number
}

export class TenantOverrides {
  readonly #store: Pick<Store, 'getChoices' | 'putChoices'>
  readonly #now: Now
  readonly #cache = new LRUCache<string, CacheEntry>({ max: MAX_TENANTS })
  /** By tenant. */
  readonly #reads = new SingleFlight<TenantChoices>()

  constructor(store: Pick<Store, 'getChoices' | 'putChoices'>, now: Now) {
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
        (choices) => withOverrides(caller, choices),
        () => {
          // Cached as stale, so that no later request waits for an unavailable store.
          this.#cache.set(caller.tenant, { choices: {}, readAt: Number.NEGATIVE_INFINITY })
          return caller
        },
      )
    }
    if (this.#now() - known.readAt > FRESH_MS) this.#read(caller.tenant).catch(() => {})
    return withOverrides(caller, known.choices)
  }

  /** Reads the overrides from the store. Throws `STORE_UNAVAILABLE`. */
  get(tenant: string): Promise<TenantChoices> {
    return this.#read(tenant)
  }

  /** Takes effect from the tenant's next turn, on other proxies within five seconds. Throws `STORE_UNAVAILABLE`. */
  async put(tenant: string, choices: TenantChoices): Promise<void> {
    await this.#store.putChoices(tenant, choices)
    this.#cache.set(tenant, { choices, readAt: this.#now() })
  }

  /** For a tenant that was erased. */
  forget(tenant: string): void {
    this.#cache.delete(tenant)
  }

  #read(tenant: string): Promise<TenantChoices> {
    return this.#reads.run(tenant, () => this.#fetch(tenant))
  }

  async #fetch(tenant: string): Promise<TenantChoices> {
    const began = this.#now()
    const choices = await this.#store.getChoices(tenant)
    const known = this.#cache.get(tenant)
    // A `put` during the read is newer than what was read.
    if (known !== undefined && known.readAt > began) return known.choices
    this.#cache.set(tenant, { choices, readAt: this.#now() })
    return choices
  }
}

function withOverrides(caller: Caller, choices: TenantChoices): Caller {
  if (choices.freezeAt === undefined && choices.overflow === undefined) return caller
  const { policy } = caller
  return { ...caller, policy: { ...policy, nearLimit: { ...policy.nearLimit, ...choices } } }
}
