// The contract of API keys created by REST.

import { beforeEach, describe, expect, it } from 'vitest'
import type { KeyRecord } from '../../../src/base/key-records.ts'
import type { Store } from '../../../src/store/store.ts'
import { noon } from './sample-records.ts'
import type { Subject } from './subject.ts'

const MOST = 3

export function describeApiKeys(subject: Subject): void {
  let store: Store
  beforeEach(() => {
    store = subject().store
  })

  const aKey = (name: string, more: Partial<KeyRecord> = {}): KeyRecord => ({
    id: `key-${more.tenant ?? 'acme'}-${name}`,
    tenant: 'acme',
    name,
    sha256: name.padEnd(64, '0'),
    createdAt: noon,
    ...more,
  })
  const add = (...keys: readonly KeyRecord[]) =>
    keys.reduce<Promise<unknown>>((before, key) => before.then(() => store.addKey(key, MOST)), Promise.resolve())
  const names = async (tenant: string) => (await store.listKeys(tenant)).map(({ name }) => name)

  describe('an API key', () => {
    it('is listed with its tenant by name, on every handle', async () => {
      const expiring = aKey('b', { expiresAt: noon + 5 })
      await add(expiring, aKey('a'), aKey('a', { tenant: 'globex' }))

      const listed = await (await subject().reopen()).listKeys('acme')

      expect(listed).toEqual([aKey('a'), expiring])
      expect(await names('globex')).toEqual(['a'])
      expect(await names('another')).toEqual([])
    })

    it('keeps a rate limit of its own, and one that was stored without has none', async () => {
      const limited = aKey('b', { rate: { requests: 60, tokens: 50_000 } })
      await add(aKey('a'), limited)

      const other = await subject().reopen()

      expect(await other.listKeys('acme')).toEqual([aKey('a'), limited])
      expect(await other.removeKey('key-acme-b')).toEqual(limited)
    })

    it('has a name of its own within the tenant', async () => {
      expect(await store.addKey(aKey('a'), MOST)).toBe('added')
      expect(await store.addKey(aKey('a', { id: 'key-2' }), MOST)).toBe('taken')

      expect((await store.listKeys('acme')).map(({ id }) => id)).toEqual(['key-acme-a'])
    })

    it('is one of a bounded number of its tenant', async () => {
      await add(aKey('a'), aKey('b'), aKey('c'))

      expect(await store.addKey(aKey('d'), MOST)).toBe('too_many')
      expect(await store.addKey(aKey('d', { tenant: 'globex' }), MOST)).toBe('added')
      expect(await names('acme')).toEqual(['a', 'b', 'c'])
    })

    it('is one of few if many are added at once on two handles', async () => {
      const other = await subject().reopen()

      const outcomes = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? store : other).addKey(aKey(`k${n}`), MOST)),
      )

      expect(outcomes.filter((outcome) => outcome === 'added')).toHaveLength(MOST)
      expect(await store.listKeys('acme')).toHaveLength(MOST)
    })

    it('is removed once, and its name is free then', async () => {
      await add(aKey('a'), aKey('b'))

      expect(await store.removeKey('key-acme-a')).toEqual(aKey('a'))
      expect(await store.removeKey('key-acme-a')).toBeUndefined()

      expect(await names('acme')).toEqual(['b'])
      expect(await store.addKey(aKey('a', { id: 'key-3' }), MOST)).toBe('added')
    })

    it('may belong to a tenant with any id', async () => {
      await add(aKey('a', { tenant: 'k:{7}/ü', id: 'odd' }))

      expect([...(await store.listKeyTenants()).keys()]).toEqual(['k:{7}/ü'])
      expect(await names('k:{7}/ü')).toEqual(['a'])
      expect((await store.removeKey('odd'))?.tenant).toBe('k:{7}/ü')
    })
  })

  describe('the revision of API keys', () => {
    it('increases with each change, and tells whose keys changed', async () => {
      expect([await store.keysRevision(), (await store.listKeyTenants()).size]).toEqual([0, 0])
      await add(aKey('a'), aKey('b'), aKey('a', { tenant: 'globex' }))
      const first = await store.listKeyTenants()
      const revision = await store.keysRevision()
      await store.addKey(aKey('b', { id: 'refused' }), MOST)
      expect(await store.keysRevision()).toBe(revision)

      await store.removeKey('key-acme-b')

      const second = await store.listKeyTenants()
      expect(await store.keysRevision()).toBeGreaterThan(revision)
      expect(second.get('acme')).toBeGreaterThan(Number(first.get('acme')))
      expect(second.get('globex')).toBe(first.get('globex'))
    })

    it('increases when a tenant loses its last key, or is forgotten, and it is listed no longer', async () => {
      await add(aKey('a'), aKey('a', { tenant: 'globex' }), aKey('b', { tenant: 'globex' }), aKey('a', { tenant: 'x' }))
      const before = await store.keysRevision()

      await store.removeKey('key-acme-a')
      const between = await store.keysRevision()
      await store.forgetTenant('globex')

      expect(between).toBeGreaterThan(before)
      expect(await store.keysRevision()).toBeGreaterThan(between)
      expect([...(await store.listKeyTenants()).keys()]).toEqual(['x'])
      expect(await names('globex')).toEqual([])
      expect(await store.removeKey('key-globex-a')).toBeUndefined()
    })
  })

  describe('the last use of an API key', () => {
    it('is the latest that a process recorded', async () => {
      await add(aKey('a'), aKey('b'))
      const [a, b] = ['key-acme-a', 'key-acme-b'] as const
      await store.markKeysUsed(new Map([[a, noon + 60]]))

      await (await subject().reopen()).markKeysUsed(
        new Map([
          [a, noon],
          ['unknown', noon],
        ]),
      )

      expect(await store.keyUses([a, b, 'unknown'])).toEqual(new Map([[a, noon + 60]]))
    })

    it('goes with the key', async () => {
      await add(aKey('a'))
      await store.markKeysUsed(new Map([['key-acme-a', noon]]))

      await store.removeKey('key-acme-a')
      await add(aKey('a'))

      expect((await store.keyUses(['key-acme-a'])).size).toBe(0)
    })

    it('is recorded of nothing if nothing was used', async () => {
      await store.markKeysUsed(new Map())

      expect((await store.keyUses([])).size).toBe(0)
    })
  })
}
