// What tenants have chosen for themselves near the limit, laid over the operator's policy. Known for a while, so that a turn reads no store.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { Caller, TenantChoices } from '../base/tenants.ts'
import type { Store } from '../store/store.ts'

/** Tenants whose choices are known. */
const MAX_TENANTS = 10_000
/** How long what another proxy has written may go unseen. */
const FRESH_MS = 5_000

interface CacheEntry {
  readonly choices: TenantChoices
  readonly readAt: number
}

export class TenantOverrides {
  readonly #store: Pick<Store, 'getChoices' | 'putChoices'>
  readonly #now: Now
  readonly #cache = new LRUCache<string, CacheEntry>({ max: MAX_TENANTS })
  /** Bounded by the tenants that ask at one moment. */
  readonly #pendingReads = new Map<string, Promise<TenantChoices>>()

  constructor(store: Pick<Store, 'getChoices' | 'putChoices'>, now: Now) {
    this.#store = store
    this.#now = now
  }

  /**
   * The caller under his tenant's own choices. Reads the store where nothing is known yet, and in the background where what is known is
   * old. While the store is away what was known holds, else the operator's policy.
   */
  applyTo(caller: Caller): Caller | Promise<Caller> {
    const known = this.#cache.get(caller.tenant)
    if (known === undefined) {
      return this.#read(caller.tenant).then(
        (choices) => withOverrides(caller, choices),
        () => {
          // Nobody waits for it twice.
          this.#cache.set(caller.tenant, { choices: {}, readAt: Number.NEGATIVE_INFINITY })
          return caller
        },
      )
    }
    if (this.#now() - known.readAt > FRESH_MS) this.#read(caller.tenant).catch(() => {})
    return withOverrides(caller, known.choices)
  }

  /** As stored. Throws `STORE_UNAVAILABLE`. */
  get(tenant: string): Promise<TenantChoices> {
    return this.#read(tenant)
  }

  /** Holds from the tenant's next turn on; at other proxies within five seconds. Throws `STORE_UNAVAILABLE`. */
  async put(tenant: string, choices: TenantChoices): Promise<void> {
    await this.#store.putChoices(tenant, choices)
    this.#cache.set(tenant, { choices, readAt: this.#now() })
  }

  /** After the tenant was erased. */
  forget(tenant: string): void {
    this.#cache.delete(tenant)
  }

  #read(tenant: string): Promise<TenantChoices> {
    const reading =
      this.#pendingReads.get(tenant) ?? this.#fetch(tenant).finally(() => this.#pendingReads.delete(tenant))
    this.#pendingReads.set(tenant, reading)
    return reading
  }

  async #fetch(tenant: string): Promise<TenantChoices> {
    const began = this.#now()
    const choices = await this.#store.getChoices(tenant)
    const known = this.#cache.get(tenant)
    // What was put meanwhile is newer than what was read.
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
