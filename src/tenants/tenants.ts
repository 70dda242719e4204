// The tenants there are: listed ones by the hashes of their keys, or, where none are listed, one for each key.

import type { TenantPolicy } from '../base/tenants.ts'

/** A listed tenant. */
export interface TenantEntry {
  readonly id: string
  /** `sha256`: lower-case hex, as `keyHash` makes it. No two tenants have the same. */
  readonly keys: readonly { readonly name: string; readonly sha256: string }[]
  readonly policy: TenantPolicy
}

export interface KnownKey {
  readonly tenant: string
  readonly name: string
  readonly policy: TenantPolicy
}

export class Tenants {
  /** The ids of the listed tenants. */
  readonly ids: readonly string[]
  readonly #defaults: TenantPolicy
  readonly #policies: ReadonlyMap<string, TenantPolicy>
  readonly #keys: ReadonlyMap<string, KnownKey> | undefined

  /** `listed` undefined: each key is a tenant of its own, under `defaults`. */
  constructor(defaults: TenantPolicy, listed: readonly TenantEntry[] | undefined) {
    this.ids = listed?.map(({ id }) => id) ?? []
    this.#defaults = defaults
    this.#policies = new Map(listed?.map(({ id, policy }) => [id, policy]))
    this.#keys =
      listed &&
      new Map(
        listed.flatMap(({ id, keys, policy }) =>
          keys.map(({ name, sha256 }) => [sha256, { tenant: id, name, policy }]),
        ),
      )
  }

  get areListed(): boolean {
    return this.#keys !== undefined
  }

  /**
   * Whose key has that hash; undefined when nobody's has. A look-up by hash tells nothing of a key by its time: to steer the hash
   * of a guess is to know the key.
   */
  byKeyHash(hash: string): KnownKey | undefined {
    return this.#keys?.get(hash)
  }

  /** What a tenant may do and hold; for one that is no longer listed, and still has windows, the defaults. */
  policyOf(tenant: string): TenantPolicy {
    return this.#policies.get(tenant) ?? this.#defaults
  }
}
