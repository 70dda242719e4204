// Lineages of requests without a session: none is used twice, all are named in the store before they are used, and none after an erasure.

import { describe, expect, it } from 'vitest'
import type { DeletionRecord } from '../base/deletion-records.ts'
import { CwmError } from '../base/errors.ts'
import type { Isolation } from '../base/tenants.ts'
import type { StoreChange } from '../store/store-values.ts'
import { type RequestLineage, RequestLineages } from './request-lineages.ts'

const MINUTE = 60_000
const space = { model: 'm', kvEpoch: 0 }
const origin = (isolation: Isolation = 'session', user?: string, tenant = 'ann') => ({ tenant, isolation, user })

function start({ isAway = false, keepsKv = true, maxStalenessMs = Number.POSITIVE_INFINITY } = {}) {
  const orders: DeletionRecord[] = []
  const retired = new Set<string>()
  const state = {
    isAway,
    now: 0,
    asked: 0,
    suffix: '',
    stored: (_: DeletionRecord) => {},
    change: (_: StoreChange) => {},
  }
  const lineages = new RequestLineages({
    store: {
      maxStalenessMs,
      onChange: (listener) => {
        state.change = listener
        return () => {}
      },
      addDeletion: async (order) => {
        if (state.isAway) throw new CwmError('STORE_UNAVAILABLE', 'away')
        orders.push(order)
        state.stored(order)
      },
      changeDeletion: async (_, id, change) => {
        const at = orders.findIndex((order) => order.id === id)
        const order = orders[at]
        if (order === undefined) return false
        orders[at] = { ...order, ...change } as DeletionRecord
        return true
      },
      isRetired: async (tenant, lineage) => {
        if (state.isAway) throw new CwmError('STORE_UNAVAILABLE', 'away')
        state.asked++
        return retired.has(`${tenant} ${lineage}`)
      },
    },
    lineages: {
      begin: async ({ tenant, isolation, user }) =>
        isolation === 'session' || (isolation === 'user' && user === undefined)
          ? { lineage: `own-${orders.length}` }
          : {
              lineage: `${tenant}-${isolation}-${user}${state.suffix}`,
              shared: isolation === 'user' ? 'user' : 'tenant',
            },
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

  it('are not used if an erasure retires them as soon as the store knows them', async () => {
    const { lineages, orders, state } = start()
    state.stored = (order) => {
      if (orders.length === 1) lineages.retired(order.tenant, order.lineage)
    }

    const taken = await lineages.take(origin(), space)

    expect([taken.lineage, taken.mayDispatch()]).toEqual(['own-1.0', true])
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

  it('are random and unnamed for a block that cannot be checked, and the block goes on afterwards', async () => {
    const { lineages, orders, state } = start({ maxStalenessMs: 1_000 })
    const before = await lineages.take(origin(), space)
    state.now = 1_000
    state.isAway = true

    const during = await lineages.take(origin(), space)

    expect([during.degraded, await during.mayDispatch(), during.shared]).toEqual([true, true, undefined])
    state.isAway = false
    const after = await lineages.take(origin(), space)
    expect([after.degraded, await after.mayDispatch(), orders.length]).toEqual([false, true, 1])
    expect([before.lineage, after.lineage]).toEqual(['own-0.0', 'own-0.1'])
  })

  it('cost the store nothing where nothing keeps KV', async () => {
    const { lineages, orders } = start({ keepsKv: false })

    await lineages.take(origin(), space)

    expect(orders).toEqual([])
  })
})

describe('a lineage that several models share', () => {
  const other = { ...space, model: 'other' }
  const aborts = (taken: RequestLineage) => {
    const seen = { count: 0, done: () => {} }
    seen.done = taken.onRetired(() => seen.count++)
    return seen
  }

  it('is retired for all of them: no request of any goes on', async () => {
    const { lineages, state } = start()
    const one = await lineages.take(origin('tenant'), space)
    const running = [aborts(one), aborts(await lineages.take(origin('tenant'), other))]

    state.suffix = '-new'
    lineages.retired('ann', one.lineage)

    expect(running.map(({ count }) => count)).toEqual([1, 1])
    const after = [await lineages.take(origin('tenant'), space), await lineages.take(origin('tenant'), other)]
    expect(after.map(({ lineage }) => lineage)).toEqual(['ann-tenant-undefined-new', 'ann-tenant-undefined-new'])
    expect(after.map((taken) => taken.mayDispatch())).toEqual([true, true])
  })

  it('is retired for all of them where only the store says so', async () => {
    const { lineages, retired, state } = start({ maxStalenessMs: 1_000 })
    const one = await lineages.take(origin('tenant'), space)
    await lineages.take(origin('tenant'), other)

    state.suffix = '-new'
    state.now = 1_000
    retired.add(`ann ${one.lineage}`)

    for (const each of [space, other, space, other]) {
      const taken = await lineages.take(origin('tenant'), each)
      expect([taken.lineage, await taken.mayDispatch()]).toEqual(['ann-tenant-undefined-new', true])
    }
  })

  it('is still retired after a renewal, when the last request from before has ended', async () => {
    const { lineages, state } = start()
    const old = aborts(await lineages.take(origin('tenant'), space))
    state.now = 25 * 60 * MINUTE
    const renewed = await lineages.take(origin('tenant'), space)
    const running = aborts(renewed)

    old.done()
    lineages.retired('ann', renewed.lineage)

    expect([old.count, running.count, renewed.mayDispatch()]).toEqual([0, 1, false])
  })

  it('is retired for a request that was not sent before the renewal', async () => {
    const { lineages, retired, state } = start()
    const late = await lineages.take(origin('tenant'), space)
    state.now = 25 * 60 * MINUTE
    await lineages.take(origin('tenant'), space)

    retired.add(`ann ${late.lineage}`)
    lineages.retired('ann', late.lineage)

    expect(await late.mayDispatch()).toBe(false)
  })

  it('is one for all users of a tenant', async () => {
    const { lineages, orders } = start()

    for (const user of ['eve', 'zoe', undefined]) await lineages.take(origin('tenant', user), space)

    expect(orders).toHaveLength(1)
  })
})
