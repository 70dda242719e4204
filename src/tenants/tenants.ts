// The known tenants: those listed in the settings, found by key hash. If none are listed, each key is its own tenant.

import type { RateLimit } from '../base/rates.ts'
import { policyOfKey, type TenantPolicy } from '../base/tenants.ts'

/** A tenant listed in the settings. */
export interface TenantEntry {
  readonly id: string
  /** `sha256` is lowercase hex, as `keyHash` returns it, and unique over all tenants. */
  readonly keys: readonly {
    readonly name: string
    readonly sha256: string
    /** Milliseconds since the epoch; from then on it is rejected. */
    readonly expiresAt?: number
    /** What this key alone may use within a minute. */
    readonly rate?: RateLimit | undefined
  }[]
  readonly policy: TenantPolicy
}

export interface KnownKey {
  readonly tenant: string
  readonly name: string
  readonly policy: TenantPolicy
  /** Milliseconds since the epoch; from then on it is rejected. Absent: it does not expire. */
  readonly expiresAt?: number
  /** Of a key that was created by REST. */
  readonly id?: string
}

export class Tenants {
  /** The ids of the listed tenants. */
  #ids: readonly string[] = []
  #defaults: TenantPolicy
  #policies: ReadonlyMap<string, TenantPolicy> = new Map()
  #keys: ReadonlyMap<string, KnownKey> | undefined

  /** If `listed` is undefined, each key is its own tenant, with the policy `defaults`. */
  constructor(defaults: TenantPolicy, listed: readonly TenantEntry[] | undefined) {
    this.#defaults = defaults
    this.update(defaults, listed)
  }

  get ids(): readonly string[] {
    return this.#ids
  }

  /** Replaces all tenants and policies. Callers identified before keep the policy that they had. */
  update(defaults: TenantPolicy, listed: readonly TenantEntry[] | undefined): void {
    this.#ids = listed?.map(({ id }) => id) ?? []
    this.#defaults = defaults
    this.#policies = new Map(listed?.map(({ id, policy }) => [id, policy]))
    this.#keys =
      listed &&
      new Map(
        listed.flatMap(({ id, keys, policy }) =>
          keys.map(({ sha256, rate, ...key }) => [sha256, { tenant: id, policy: policyOfKey(policy, rate), ...key }]),
        ),
      )
  }

  /** The keys of the settings, without hashes; of a tenant that is not listed, none. */
  keysOf(tenant: string): readonly KnownKey[] {
    return [...(this.#keys?.values() ?? [])].filter((key) => key.tenant === tenant)
  }

  isListed(tenant: string): boolean {
    return this.#policies.has(tenant)
  }

  /** When the first of the keys of the settings that are valid at `now` expires; undefined if none does. */
  nextExpiry(now: number): number | undefined {
    const times = [...(this.#keys?.values() ?? [])].flatMap(({ expiresAt = 0 }) => (expiresAt > now ? [expiresAt] : []))
    return times.length === 0 ? undefined : Math.min(...times)
  }

  get areListed(): boolean {
    return this.#keys !== undefined
  }

  /**
   * The key of the settings with this hash, if any. Looking up a hash is safe against timing attacks: an attacker cannot choose a guess by the prefix of
   * its hash without already knowing the key.
   */
  byKeyHash(hash: string): KnownKey | undefined {
    return this.#keys?.get(hash)
  }

  /** The tenant's policy. A tenant that is no longer listed but still has windows gets the defaults. */
  policyOf(tenant: string): TenantPolicy {
    return this.#policies.get(tenant) ?? this.#defaults
  }
}
