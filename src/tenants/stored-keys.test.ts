// Keys of the store in memory: how changes of other processes arrive, and what happens while the store is away.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { KeyRecord } from '../base/key-records.ts'
import type { StoreChange } from '../store/store-values.ts'
import { StoredKeys, type StoredKeysParts } from './stored-keys.ts'

const MINUTE = 60_000
const noon = Date.UTC(2026, 0, 15, 12)
const aKey = (name: string, tenant = 'acme'): KeyRecord => ({
  id: `key_${tenant}_${name}`,
  tenant,
  name,
  sha256: `hash of ${tenant} ${name}`,
  createdAt: noon,
})

/** A store of several processes, in memory. */
class FakeStore {
  maxStalenessMs = 1_000
  isAway = false
  reads = 0
  lists = 0
  uses = new Map<string, number>()
  #keys: readonly KeyRecord[] = []
  #revision = 0
  #revisions = new Map<string, number>()
  #listeners: ((change: StoreChange) => void)[] = []

  readonly onChange = (listener: (change: StoreChange) => void) => {
    this.#listeners.push(listener)
    return () => {}
  }
  readonly addKey = async (key: KeyRecord) => {
    this.#answer()
    this.set(key.tenant, [...this.#of(key.tenant), key])
    return 'added' as const
  }
  readonly removeKey = async (id: string) => {
    this.#answer()
    const removed = this.#keys.find((key) => key.id === id)
    if (removed !== undefined) {
      this.set(
        removed.tenant,
        this.#of(removed.tenant).filter((key) => key !== removed),
      )
    }
    return removed
  }
  readonly listKeys = async (tenant: string) => {
    this.#answer()
    this.lists++
    return this.#of(tenant)
  }
  readonly keysRevision = async () => {
    this.reads++
    this.#answer()
    return this.#revision
  }
  readonly listKeyTenants = async () => {
    this.#answer()
    return new Map(this.#revisions)
  }
  readonly markKeysUsed = async (uses: ReadonlyMap<string, number>) => {
    this.#answer()
    for (const [id, at] of uses) this.uses.set(id, at)
  }
  readonly keyUses = async () => this.uses

  /** A change by another process, without a notification. */
  set(tenant: string, keys: readonly KeyRecord[]): void {
    this.#keys = [...this.#keys.filter((key) => key.tenant !== tenant), ...keys]
    this.#revision++
    if (keys.length === 0) this.#revisions.delete(tenant)
    else this.#revisions.set(tenant, this.#revision)
  }

  notify(): void {
    for (const listener of this.#listeners) listener({ kind: 'keys' })
  }

  #of(tenant: string): readonly KeyRecord[] {
    return this.#keys.filter((key) => key.tenant === tenant)
  }

  #answer(): void {
    if (this.isAway) throw new CwmError('STORE_UNAVAILABLE', 'the store is away')
  }
}

let store: FakeStore
let now: number
let warnings: unknown[]
let keys: StoredKeys
beforeEach(() => {
  store = new FakeStore()
  now = noon
  warnings = []
  const log = { warn: (...words: unknown[]) => void warnings.push(words) } as unknown as StoredKeysParts['log']
  keys = new StoredKeys({ store, now: () => now, log })
})
afterEach(() => {
  vi.useRealTimers()
})

const isKnown = (name: string) => keys.byHash(aKey(name).sha256) !== undefined
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run()
    return undefined
  } catch (thrown) {
    return thrown instanceof CwmError ? thrown.code : 'another error'
  }
}

describe('a key that another process added or removed', () => {
  it('is taken over with its notification, and listeners are told', async () => {
    const told = vi.fn()
    keys.onChange(told)
    store.set('acme', [aKey('a')])

    store.notify()
    await keys.sync()

    expect([isKnown('a'), told.mock.calls]).toEqual([true, [[false]]])
  })

  it('is taken over without one, when the revision is compared', async () => {
    store.set('acme', [aKey('a'), aKey('b')])
    await keys.sync()
    store.set('acme', [aKey('b')])

    await keys.sync()

    expect([isKnown('a'), isKnown('b')]).toEqual([false, true])
  })

  it('is read with the keys of its own tenant only, and nothing is read if nothing has changed', async () => {
    store.set('acme', [aKey('a')])
    store.set('globex', [aKey('a', 'globex')])
    await keys.sync()
    store.set('globex', [aKey('b', 'globex')])

    await keys.sync()
    await keys.sync()

    expect(store.lists).toBe(3)
    expect(keys.of('globex').map(({ name }) => name)).toEqual(['b'])
  })

  it('is gone with its tenant', async () => {
    store.set('acme', [aKey('a')])
    await keys.sync()
    const told = vi.fn()
    keys.onChange(told)

    store.set('acme', [])
    await keys.sync()

    expect([isKnown('a'), keys.tenants, told.mock.calls]).toEqual([false, [], [[true]]])
  })

  it('never comes back by a read that began before this process removed it', async () => {
    store.set('acme', [aKey('a')])
    const reading = keys.sync()

    await keys.remove('key_acme_a')
    await reading

    expect(isKnown('a')).toBe(false)
  })
})

describe('an unknown key', () => {
  it('is looked up by a read that begins after it arrived', async () => {
    await keys.sync()
    store.set('acme', [aKey('a')])

    await keys.lookUp()

    expect(isKnown('a')).toBe(true)
  })

  it('causes at most 20 reads a second, however many arrive', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
    await keys.lookUp()
    const [before, from] = [store.reads, performance.now()]

    while (performance.now() - from < 1_000) {
      const waiting = Array.from({ length: 50 }, () => keys.lookUp())
      await vi.advanceTimersByTimeAsync(10)
      void waiting
    }

    expect(store.reads - before).toBeLessThanOrEqual(20)
    expect(store.reads - before).toBeGreaterThan(10)
  })

  it('waits for nothing if no other process writes', () => {
    store.maxStalenessMs = Number.POSITIVE_INFINITY

    expect(keys.lookUp()).toBeUndefined()
  })

  it('fails if the store does not answer', async () => {
    store.isAway = true

    await expect(keys.lookUp()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('while the store is away', () => {
  beforeEach(async () => {
    store.set('acme', [aKey('a')])
    await keys.sync()
    store.isAway = true
  })

  it('known keys stay valid for a quarter of an hour, then only the store can tell', async () => {
    now += 14 * MINUTE
    await expect(keys.sync()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(isKnown('a')).toBe(true)

    now += 2 * MINUTE

    expect(codeOf(() => isKnown('a'))).toBe('STORE_UNAVAILABLE')
    store.isAway = false
    await keys.sync()
    expect(isKnown('a')).toBe(true)
  })

  it('they stay valid for ever if no other process can revoke them', () => {
    store.maxStalenessMs = Number.POSITIVE_INFINITY

    now += 60 * MINUTE

    expect(isKnown('a')).toBe(true)
  })

  it('last uses wait until it is back, and later ones are not lost', async () => {
    keys.markUsed('key_acme_a')
    await expect(keys.storeUses()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    now += MINUTE
    keys.markUsed('key_acme_a')
    store.isAway = false

    await keys.close()

    expect(store.uses).toEqual(new Map([['key_acme_a', noon + MINUTE]]))
  })
})

describe('at start', () => {
  it('a shared store that does not answer is logged, and read later', async () => {
    store.set('acme', [aKey('a')])
    store.isAway = true

    await keys.load()
    expect([warnings.length, isKnown('a')]).toEqual([1, false])
    store.isAway = false
    await keys.sync()

    expect(isKnown('a')).toBe(true)
  })

  it('a store of this process alone must answer', async () => {
    store.maxStalenessMs = Number.POSITIVE_INFINITY
    store.isAway = true

    await expect(keys.load()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})
