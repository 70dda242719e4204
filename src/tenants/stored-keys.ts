// The API keys that the operator created by REST, in memory, so that a request is identified without a read of the store. Follows changes of
// other processes by the store's notifications, and by its revision each second, because notifications may be lost.

import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { KeyRecord } from '../base/key-records.ts'
import type { Logger } from '../base/logger.ts'
import type { AddKeyOutcome } from '../store/key-methods.ts'
import type { Store } from '../store/store.ts'

export interface StoredKeysParts {
  readonly store: Pick<
    Store,
    | 'addKey'
    | 'keysRevision'
    | 'keyUses'
    | 'listKeys'
    | 'listKeyTenants'
    | 'markKeysUsed'
    | 'maxStalenessMs'
    | 'onChange'
    | 'removeKey'
  >
  readonly log: Pick<Logger, 'warn'>
  readonly now: Now
}

/** How often the revision is read if other processes share the store. */
export const SYNC_MS = 1_000
/** How often last uses are stored. */
export const USES_MS = 60_000
/** Bound of a tenant's keys. */
export const MAX_KEYS_PER_TENANT = 1_000
/** How long keys are accepted while the store cannot confirm them: a proxy that is cut off does not learn of revocations. */
const TRUST_MS = 15 * 60_000
/** Least time between reads that unknown keys cause, so that wrong keys do not load the store. */
const LOOK_UP_EVERY_MS = 50
const TENANTS_AT_ONCE = 32

/** `hasRemoved`: a key that was valid may not be any longer. */
type KeysListener = (hasRemoved: boolean) => void

interface KeysOfTenant {
  readonly revision: number
  readonly keys: readonly KeyRecord[]
}

export class StoredKeys {
  readonly #parts: StoredKeysParts
  /** All tenants with keys. Each has up to {@link MAX_KEYS_PER_TENANT}. */
  #tenants: ReadonlyMap<string, KeysOfTenant> = new Map()
  #byHash: ReadonlyMap<string, KeyRecord> = new Map()
  #byId: ReadonlyMap<string, KeyRecord> = new Map()
  #revision: number | undefined
  #confirmedAt = Number.NEGATIVE_INFINITY
  /** Last uses by id that are not stored yet. */
  #uses = new Map<string, number>()
  readonly #listeners = new Set<KeysListener>()
  /** Reads and changes run one after the other, so that no read returns what a later change has removed. */
  #last: Promise<unknown> = Promise.resolve()
  /** A read that has not begun, which all calls until then share. */
  #queued: Promise<void> | undefined
  /** The next read that an unknown key waits for. */
  #lookUp: Promise<void> | undefined
  #lookedUpAt = Number.NEGATIVE_INFINITY
  readonly #unwatch: () => void

  constructor(parts: StoredKeysParts) {
    this.#parts = parts
    this.#unwatch = parts.store.onChange(({ kind }) => {
      if (kind === 'keys') this.sync().catch(() => {})
    })
  }

  /** Calls back after each change of the keys. */
  onChange(listener: KeysListener): void {
    this.#listeners.add(listener)
  }

  /**
   * The key with this hash, whether it has expired or not. Throws `STORE_UNAVAILABLE` if the store has not confirmed the keys for a quarter
   * of an hour.
   */
  byHash(hash: string): KeyRecord | undefined {
    const key = this.#byHash.get(hash)
    if (key !== undefined) this.requireTrust()
    return key
  }

  /** Throws `STORE_UNAVAILABLE` as {@link byHash}. */
  requireTrust(): void {
    const { store, now } = this.#parts
    if (store.maxStalenessMs === Number.POSITIVE_INFINITY || now() - this.#confirmedAt < TRUST_MS) return
    throw new CwmError(
      'STORE_UNAVAILABLE',
      `cwm cannot check this API key, because the store has not answered for ${TRUST_MS / 60_000} minutes; try again later`,
    )
  }

  of(tenant: string): readonly KeyRecord[] {
    return this.#tenants.get(tenant)?.keys ?? []
  }

  /** The tenants that have keys. */
  get tenants(): readonly string[] {
    return [...this.#tenants.keys()]
  }

  byId(id: string): KeyRecord | undefined {
    return this.#byId.get(id)
  }

  /** When the first of the keys that are valid at `now` expires; undefined if none does. */
  nextExpiry(now: number): number | undefined {
    let next: number | undefined
    for (const { expiresAt } of this.#byHash.values()) {
      if (expiresAt !== undefined && expiresAt > now && (next === undefined || expiresAt < next)) next = expiresAt
    }
    return next
  }

  /**
   * Reads the keys at start. A shared store that does not answer is only logged, because `sync` repeats the read. Throws `STORE_UNAVAILABLE`
   * for a store of this process alone.
   */
  async load(): Promise<void> {
    const { store, log } = this.#parts
    try {
      await this.sync()
    } catch (thrown) {
      if (store.maxStalenessMs === Number.POSITIVE_INFINITY) throw thrown
      log.warn(
        { err: toCwmError(thrown) },
        'API keys created by REST could not be read; they are rejected until they are',
      )
    }
  }

  /** Reads what has changed since the last read. Throws `STORE_UNAVAILABLE`; then nothing has changed. */
  sync(): Promise<void> {
    this.#queued ??= this.#inOrder(() => {
      this.#queued = undefined
      return this.#read()
    })
    return this.#queued
  }

  /**
   * Reads what another process may have added a moment ago. Calls within 50 ms share a read. Undefined if no other process writes. Rejects
   * with `STORE_UNAVAILABLE`.
   */
  lookUp(): Promise<void> | undefined {
    if (this.#parts.store.maxStalenessMs === Number.POSITIVE_INFINITY) return undefined
    this.#lookUp ??= this.#afterPause().then(() => {
      this.#lookUp = undefined
      this.#lookedUpAt = performance.now()
      return this.sync()
    })
    return this.#lookUp
  }

  /** Stores a key. It is valid here at once, and on other processes within {@link SYNC_MS}. Throws `STORE_UNAVAILABLE`. */
  add(key: KeyRecord): Promise<AddKeyOutcome> {
    return this.#inOrder(async () => {
      const outcome = await this.#parts.store.addKey(key, MAX_KEYS_PER_TENANT)
      if (outcome === 'added') this.#replace(key.tenant, [...this.of(key.tenant), key])
      return outcome
    })
  }

  /** Removes a key: it is invalid here at once. Returns it; undefined if there is none. Throws `STORE_UNAVAILABLE`. */
  remove(id: string): Promise<KeyRecord | undefined> {
    return this.#inOrder(async () => {
      const removed = await this.#parts.store.removeKey(id)
      if (removed !== undefined) {
        this.#replace(
          removed.tenant,
          this.of(removed.tenant).filter((key) => key.id !== id),
        )
      }
      this.#uses.delete(id)
      return removed
    })
  }

  markUsed(id: string): void {
    this.#uses.set(id, this.#parts.now())
  }

  /** When these keys were used last, as far as it is known. Throws `STORE_UNAVAILABLE`. */
  async usesOf(ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const uses = new Map(await this.#parts.store.keyUses(ids))
    for (const id of ids) {
      const at = this.#uses.get(id)
      if (at !== undefined) uses.set(id, Math.max(at, uses.get(id) ?? 0))
    }
    return uses
  }

  /** Stores the last uses. Throws `STORE_UNAVAILABLE`; then they are stored next time. */
  async storeUses(): Promise<void> {
    if (this.#uses.size === 0) return
    const uses = this.#uses
    this.#uses = new Map()
    try {
      await this.#parts.store.markKeysUsed(uses)
    } catch (thrown) {
      this.#uses = new Map([...uses, ...this.#uses])
      throw thrown
    }
  }

  /** Stores the last uses if the store answers. */
  async close(): Promise<void> {
    this.#unwatch()
    await this.storeUses().catch((thrown: unknown) => {
      this.#parts.log.warn({ err: toCwmError(thrown) }, 'last uses of API keys are not stored')
    })
  }

  async #read(): Promise<void> {
    const { store, now } = this.#parts
    const startedAt = now()
    // Read first: what changes during the reads below has a newer revision, so it is read again next time.
    const revision = await store.keysRevision()
    if (revision !== this.#revision) {
      this.#take(await this.#changedSince(await store.listKeyTenants()))
      this.#revision = revision
    }
    this.#confirmedAt = startedAt
  }

  async #changedSince(revisions: ReadonlyMap<string, number>): Promise<Map<string, KeysOfTenant>> {
    const tenants = new Map<string, KeysOfTenant>()
    const outdated: (readonly [string, number])[] = []
    for (const [tenant, revision] of revisions) {
      const held = this.#tenants.get(tenant)
      if (held?.revision === revision) tenants.set(tenant, held)
      else outdated.push([tenant, revision])
    }
    for (let n = 0; n < outdated.length; n += TENANTS_AT_ONCE) {
      await Promise.all(
        outdated.slice(n, n + TENANTS_AT_ONCE).map(async ([tenant, revision]) => {
          tenants.set(tenant, { revision, keys: await this.#parts.store.listKeys(tenant) })
        }),
      )
    }
    return tenants
  }

  /** With an unknown revision, so that the next read reads them again. */
  #replace(tenant: string, keys: readonly KeyRecord[]): void {
    const tenants = new Map(this.#tenants)
    if (keys.length === 0) tenants.delete(tenant)
    else tenants.set(tenant, { revision: -1, keys })
    this.#take(tenants)
  }

  #take(tenants: ReadonlyMap<string, KeysOfTenant>): void {
    this.#tenants = tenants
    const keys = [...tenants.values()].flatMap((held) => held.keys)
    const before = this.#byHash
    this.#byHash = new Map(keys.map((key) => [key.sha256, key]))
    this.#byId = new Map(keys.map((key) => [key.id, key]))
    for (const id of this.#uses.keys()) if (!this.#byId.has(id)) this.#uses.delete(id)
    const hasRemoved = [...before.keys()].some((hash) => !this.#byHash.has(hash))
    for (const listener of this.#listeners) listener(hasRemoved)
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work)
    this.#last = run.catch(() => {})
    return run
  }

  async #afterPause(): Promise<void> {
    const waitMs = this.#lookedUpAt + LOOK_UP_EVERY_MS - performance.now()
    if (waitMs > 0) await new Promise<void>((resolve) => void setTimeout(resolve, waitMs).unref())
  }
}
