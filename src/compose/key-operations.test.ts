// Bounds of keys created by REST: how many a tenant may have, and which make room.

import { expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { KeyRecord } from '../base/key-records.ts'
import { type KeyOperationParts, KeyOperations } from './key-operations.ts'

const noon = Date.UTC(2026, 0, 15, 12)
const MOST = 3

function operations() {
  let held: readonly KeyRecord[] = []
  let now = noon
  const storedKeys: KeyOperationParts['storedKeys'] = {
    add: async (key) => {
      if (held.length >= MOST) return 'too_many'
      held = [...held, key]
      return 'added'
    },
    remove: async (id) => {
      const removed = held.find((key) => key.id === id)
      held = held.filter((key) => key !== removed)
      return removed
    },
    byId: (id) => held.find((key) => key.id === id),
    of: () => held,
    sync: async () => {},
    tenants: ['acme'],
    usesOf: async () => new Map(),
  }
  const tenants = { areListed: true, ids: ['acme'], isListed: () => true, keysOf: () => [] }
  const keys = new KeyOperations({ storedKeys, tenants, audit: { record: () => {} }, now: () => now })
  const create = (name: string, expiresAt?: number) => keys.create({ tenant: 'acme', name, expiresAt, rate: undefined })
  const later = (ms: number) => {
    now += ms
  }
  return { create, names: () => held.map(({ name }) => name), later }
}

it('rejects a key beyond the bound while none has expired', async () => {
  const { create, names } = operations()
  for (const name of ['a', 'b', 'c']) await create(name, noon + 1_000)

  const refusal: unknown = await create('d').catch((thrown: unknown) => thrown)

  expect(refusal instanceof CwmError && refusal.code).toBe('QUOTA_EXCEEDED')
  expect(names()).toEqual(['a', 'b', 'c'])
})

it('drops keys that have expired when there is no room, and only then', async () => {
  const { create, names, later } = operations()
  await create('short', noon + 1_000)
  await create('long', noon + 60_000)
  later(1_000)
  await create('third')
  expect(names()).toEqual(['short', 'long', 'third'])

  await create('fourth')

  expect(names()).toEqual(['long', 'third', 'fourth'])
})
