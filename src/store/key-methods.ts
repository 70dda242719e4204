// What the store keeps of API keys that the operator created by REST. Proxies hold all of them in memory, and follow changes by revision.

import type { KeyRecord } from '../base/key-records.ts'

/** `taken`: the tenant has a key with this name. `too_many`: it has as many keys as it may have. */
export type AddKeyOutcome = 'added' | 'taken' | 'too_many'

export interface KeyMethods {
  /** Stores a key unless its tenant has one with its name, or `most` keys. Atomic. Notifies other processes by `onChange`. */
  addKey(key: KeyRecord, most: number): Promise<AddKeyOutcome>
  /** Removes a key, and returns it; undefined if there is none. Notifies other processes by `onChange`. */
  removeKey(id: string): Promise<KeyRecord | undefined>
  /** By name. */
  listKeys(tenant: string): Promise<readonly KeyRecord[]>
  /** Increases with every change of a key of any tenant. 0 before the first. */
  keysRevision(): Promise<number>
  /** The tenants that have keys, each with the revision at which its keys changed last. */
  listKeyTenants(): Promise<ReadonlyMap<string, number>>
  /** Records when keys were used, milliseconds since the epoch. An earlier time than the stored one, or an unknown id, changes nothing. */
  markKeysUsed(uses: ReadonlyMap<string, number>): Promise<void>
  /** When these keys were used last; those without a recorded use are left out. */
  keyUses(ids: readonly string[]): Promise<ReadonlyMap<string, number>>
}
