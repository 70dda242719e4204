// How the open deletes of several tenants share one run. The store is a map, and slots and time are the real ones and a fake clock.

import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { anOrder } from '../../test/contracts/store/sample-records.ts'
import { BackgroundSlots } from '../admission/background.ts'
import type { DeletionRecord } from '../base/deletion-records.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { DeletionChange, TenantsPage } from '../store/store-values.ts'
import { OrderRunner } from './order-runner.ts'
import type { DeletionParts } from './parts.ts'

beforeEach(() => void vi.useFakeTimers({ now: 0 }))
afterEach(() => void vi.useRealTimers())

/** Ann may delete one thing at a time. `failing`: lineages that cannot be retired. */
function setUp(failing: readonly string[] = []) {
  const orders = new Map<string, DeletionRecord>()
  const executed: string[] = []
  const deleteSlots = new BackgroundSlots(
    { kind: 'deletes', slots: 8, boundOf: (tenant) => (tenant === 'ann' ? 1 : undefined) },
    createMetrics(),
  )
  const store = {
    acquireLease: async () => true,
    releaseLease: async () => {},
    listOpenDeletions: async (now: number, { after, perTenant }: TenantsPage) =>
      [...new Set([...orders.values()].map(({ tenant }) => tenant))]
        .filter((tenant) => tenant > after)
        .sort()
        .flatMap((tenant) =>
          [...orders.values()]
            .filter((one) => one.tenant === tenant && one.state === 'open' && one.nextTryAt <= now)
            .slice(0, perTenant),
        ),
    getDeletion: async (_: string, id: string) => orders.get(id),
    getDeletionSequences: async () => [],
    retireLineage: async (_: string, lineage: string) => {
      if (failing.includes(lineage)) throw new Error('unexpected')
      executed.push(lineage)
      return true
    },
    changeDeletion: async (_: string, id: string, change: DeletionChange) => {
      const order = orders.get(id)
      if (order !== undefined) orders.set(id, { ...order, ...change })
      return order !== undefined
    },
  }
  const add = (tenant: string, id: string) =>
    orders.set(id, anOrder({ tenant, id, kind: 'requests', name: '1', lineage: id, at: 0, nextTryAt: 0 }))
  const parts = {
    ...{ store, deleteSlots, log: silentLogger, metrics: createMetrics(), now: () => Date.now(), retryMs: 1_000 },
    kv: { open: async () => undefined },
    sessions: { retired: () => {} },
    quotas: { remove: async () => {} },
    saltOf: () => 'salt',
  } as unknown as DeletionParts
  const run = () => new OrderRunner(parts).run(new AbortController().signal)
  return { orders, executed, deleteSlots, add, run }
}

it('waits once in a run for a tenant whose slots are all taken, and executes the others’ orders', async () => {
  const { executed, deleteSlots, add, run } = setUp()
  void deleteSlots.run('ann', () => new Promise(() => {}))
  for (let n = 0; n < 5; n++) add('ann', `a${n}`)
  add('bob', 'b')

  const over = vi.fn()
  void run().then(over)
  await vi.advanceTimersByTimeAsync(29_999)
  expect([executed, over.mock.calls.length]).toEqual([['b'], 0])
  await vi.advanceTimersByTimeAsync(1)

  expect([executed, over.mock.calls.length]).toEqual([['b'], 1])
})

it('executes many orders of one tenant in a run, and finds what becomes due for others meanwhile', async () => {
  const { executed, add, run } = setUp()
  for (let n = 0; n < 60; n++) add('ann', `a${n}`)
  const seenAt: number[] = []
  const push = executed.push.bind(executed)
  executed.push = (id) => {
    if (executed.length === 0) add('bob', 'b')
    if (id === 'b') seenAt.push(executed.length)
    return push(id)
  }

  await run()

  expect([executed.length, seenAt]).toEqual([61, [25]])
})

it('tries an order that failed later, once in a run, and not before the tenant’s others', async () => {
  const failing = Array.from({ length: 30 }, (_, n) => `bad${n}`)
  const { orders, executed, add, run } = setUp(failing)
  for (const id of failing) add('ann', id)
  add('ann', 'good')

  await run()

  expect(executed).toEqual(['good'])
  expect(orders.get('bad0')).toMatchObject({ state: 'open', tries: 1, nextTryAt: 1_000 })
})
