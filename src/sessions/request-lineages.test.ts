// Lineages of requests without a session: none is used twice, all are named in the store before they are used, and none after an erasure.

import { describe, expect, it } from 'vitest'
import type { DeletionRecord } from '../base/deletion-records.ts'
import { CwmError } from '../base/errors.ts'
import type { Isolation } from '../base/tenants.ts'
import type { StoreChange } from '../store/store-values.ts'
import { RequestLineages } from './request-lineages.ts'

const MINUTE = 60_000
const space = { model: 'm', kvEpoch: 0 }
const origin = (isolation: Isolation = 'session', user?: string, tenant = 'ann') => ({ tenant, isolation, user })

function start({ isAway = false, keepsKv = true, maxStalenessMs = Number.POSITIVE_INFINITY } = {}) {
  const orders: DeletionRecord[] = []
  const retired = new Set<string>()
  const state = { now: 0, asked: 0, change: (_: StoreChange) => {} }
  const lineages = new RequestLineages({
    store: {
      maxStalenessMs,
      onChange: (listener) => {
        state.change = listener
        return () => {}
      },
      addDeletion: async (order) => {
        if (isAway) throw new CwmError('STORE_UNAVAILABLE', 'away')
        orders.push(order)
      },
      changeDeletion: async (_, id, change) => {
        const at = orders.findIndex((order) => order.id === id)
        const order = orders[at]
        if (order === undefined) return false
        orders[at] = { ...order, ...change } as DeletionRecord
        return true
      },
      isRetired: async (tenant, lineage) => {
        state.asked++
        return retired.has(`${tenant} ${lineage}`)
      },
    },
    lineages: {
      begin: async ({ tenant, isolation, user }) =>
        isolation === 'session' || (isolation === 'user' && user === undefined)
          ? { lineage: `own-${orders.length}` }
          : { lineage: `${tenant}-${isolation}-${user}`, shared: isolation === 'user' ? 'user' : 'tenant' },
    },
    keepsKv,
    now: () => state.now,
  })
  return { lineages, orders, retired, state }
}

describe('lineages of requests without a session', () => {
  it('are never used twice, and few orders name them all', async () => {
    const { lineages, orders } = start()

    const taken = await Promise.all(Array.from({ length: 1_000 }, () => lineages.take(origin(), space)))

    expect(new Set(taken.map(({ lineage }) => lineage)).size).toBe(1_000)
    expect(orders.map(({ requests }) => requests)).toEqual([4, 16, 64, 256, 1_024])
    const named = new Set(
      orders.flatMap(({ lineage, requests = 0 }) => Array.from({ length: requests }, (_, n) => `${lineage}.${n}`)),
    )
    expect(taken.every(({ lineage }) => named.has(lineage))).toBe(true)
    expect(orders[0]).toMatchObject({
      tenant: 'ann',
      kind: 'requests',
      spaces: [space],
      state: 'open',
      nextTryAt: 90 * MINUTE,
    })
  })

  it('are apart for each tenant and space', async () => {
    const { lineages, orders } = start()

    await lineages.take(origin(), space)
    await lineages.take(origin('session', undefined, 'bob'), space)
    await lineages.take(origin(), { ...space, clientSalt: 'mine' })

    expect(orders.map(({ tenant, spaces }) => [tenant, spaces[0]?.clientSalt])).toEqual([
      ['ann', undefined],
      ['bob', undefined],
      ['ann', 'mine'],
    ])
  })

  it('of a user or a tenant are shared, under one order that each day of use renews', async () => {
    const { lineages, orders, state } = start()

    const first = await lineages.take(origin('user', 'eve'), space)
    state.now = 25 * 60 * MINUTE
    const later = await lineages.take(origin('user', 'eve'), space)
    const nobody = await lineages.take(origin('user'), space)

    expect([first.lineage, later.lineage, first.shared]).toEqual(['ann-user-eve', 'ann-user-eve', 'user'])
    expect(nobody.shared).toBeUndefined()
    expect(orders.map(({ shared, nextTryAt }) => [shared, nextTryAt])).toEqual([
      ['user', (25 + 7 * 24) * 60 * MINUTE],
      [undefined, (25 * 60 + 90) * MINUTE],
    ])
  })

  it('are taken from a new block after half an hour, so that a request has an hour before its KV is deleted', async () => {
    const { lineages, orders, state } = start()

    await lineages.take(origin(), space)
    state.now = 30 * MINUTE
    await lineages.take(origin(), space)

    expect(orders.map(({ nextTryAt }) => nextTryAt)).toEqual([90 * MINUTE, 120 * MINUTE])
  })

  it('are not sent once retired, and what is in flight is broken off', async () => {
    const { lineages, orders } = start()
    const sent = await lineages.take(origin(), space)
    const next = await lineages.take(origin(), space)
    let aborted = 0
    sent.onRetired(() => aborted++)

    lineages.retired('ann', orders[0]?.lineage ?? '')

    expect([aborted, await next.mayDispatch()]).toEqual([1, false])
    const after = await lineages.take(origin(), space)
    expect([orders.length, await after.mayDispatch()]).toEqual([2, true])
  })

  it('that another proxy retired are noticed, by its message or by asking', async () => {
    const { lineages, orders, retired, state } = start({ maxStalenessMs: 1_000 })
    const first = await lineages.take(origin(), space)
    expect([first.mayDispatch(), state.asked]).toEqual([true, 0])

    state.now = 1_000
    retired.add(`ann ${orders[0]?.lineage}`)
    expect([await first.mayDispatch(), state.asked]).toEqual([false, 1])

    const second = await lineages.take(origin(), space)
    state.change({ kind: 'lineage', tenant: 'ann', lineage: orders[1]?.lineage ?? '' })
    expect(second.mayDispatch()).toBe(false)
  })

  it('are random and unnamed while there is no store, each for one request', async () => {
    const { lineages } = start({ isAway: true })

    const taken = await Promise.all([1, 2, 3].map(() => lineages.take(origin('tenant'), space)))

    expect(taken.map(({ degraded }) => degraded)).toEqual([true, true, true])
    expect(new Set(taken.map(({ lineage }) => lineage)).size).toBe(3)
  })

  it('cost the store nothing where nothing keeps KV', async () => {
    const { lineages, orders } = start({ keepsKv: false })

    await lineages.take(origin(), space)

    expect(orders).toEqual([])
  })
})
