// The contract for the ledger: counts that add up, each batch once.

import { beforeEach, describe, expect, it } from 'vitest'
import { countAt, noCounts } from '../../../src/base/usage-counts.ts'
import {
  HOUR_MS,
  type LedgerAddition,
  type LedgerRow,
  MINUTE_MS,
  OTHER_TENANTS,
} from '../../../src/store/ledger-methods.ts'
import type { Store } from '../../../src/store/store.ts'
import type { Subject } from './subject.ts'

/** A full hour that is over for less than the hours that a store with its own clock keeps. */
const hour = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
const KEEP_MS = 90 * 24 * HOUR_MS

function aRow(counts: Partial<Record<keyof typeof countAt, number>>, row: Partial<LedgerRow> = {}): LedgerRow {
  const all = noCounts()
  for (const [name, count] of Object.entries(counts)) all[countAt[name as keyof typeof countAt]] = count
  return { at: hour, key: 'ci', model: 'small', ...row, counts: all }
}

const anAddition = (
  number: number,
  rows: readonly LedgerRow[],
  more: Partial<LedgerAddition> = {},
): LedgerAddition => ({
  source: 'proxy-1',
  number,
  batches: [{ tenant: 'acme', rows }],
  keepMs: KEEP_MS,
  maxTenants: 100,
  ...more,
})

export function describeLedger(subject: Subject): void {
  describe('the ledger', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    const minutes = (tenant = 'acme') => store.readLedger(tenant, 'minute', hour, hour + HOUR_MS)
    const hours = (tenant = 'acme') => store.readLedger(tenant, 'hour', hour, hour + HOUR_MS)

    it('adds up counts by minute and by hour, and keeps the longest queue', async () => {
      await store.addToLedger(anAddition(1, [aRow({ requests: 2, promptTokens: 2 ** 40, longestQueueMs: 7 })]))
      await store.addToLedger(
        anAddition(2, [
          aRow({ requests: 1, promptTokens: 3, longestQueueMs: 5 }),
          aRow({ requests: 1 }, { at: hour + MINUTE_MS }),
          aRow({ requests: 1 }, { key: 'web' }),
          aRow({ requests: 1 }, { model: '' }),
        ]),
      )

      const sum = { requests: 3, promptTokens: 2 ** 40 + 3, longestQueueMs: 7 }
      expect(await minutes()).toEqual([
        aRow({ requests: 1 }, { model: '' }),
        aRow(sum),
        aRow({ requests: 1 }, { key: 'web' }),
        aRow({ requests: 1 }, { at: hour + MINUTE_MS }),
      ])
      expect(await hours()).toEqual([
        aRow({ requests: 1 }, { model: '' }),
        aRow({ ...sum, requests: 4 }),
        aRow({ requests: 1 }, { key: 'web' }),
      ])
    })

    it('reads a span, of one tenant, also after a restart', async () => {
      const rows = [0, 1, 2].map((n) => aRow({ requests: n + 1 }, { at: hour + n * MINUTE_MS }))
      await store.addToLedger(anAddition(1, rows))

      const again = await subject().reopen()

      expect(await again.readLedger('acme', 'minute', hour + MINUTE_MS, hour + 2 * MINUTE_MS)).toEqual([rows[1]])
      expect(await again.readLedger('acme', 'minute', hour - HOUR_MS, hour)).toEqual([])
      expect(await minutes('globex')).toEqual([])
    })

    it('adds a batch once, however often it is sent', async () => {
      const first = anAddition(1, [aRow({ requests: 1 })])
      await Promise.all([first, first, first].map((each) => store.addToLedger(each)))
      await store.addToLedger(anAddition(2, [aRow({ requests: 1 })]))
      await store.addToLedger(first)

      expect(await hours()).toEqual([aRow({ requests: 2 })])
    })

    it('adds up the counts of many tenants over minutes, also of those that a restart interrupts', async () => {
      const tenants = Array.from({ length: 90 }, (_, n) => `tenant-${n}`)
      const batchesOf = (n: number) =>
        tenants.map((tenant, t) => ({
          tenant,
          rows: [aRow({ requests: 1, promptTokens: t }, { at: hour + (n % 3) * MINUTE_MS, key: `key-${n % 2}` })],
        }))
      for (let n = 1; n <= 100; n++) await store.addToLedger(anAddition(n, [], { batches: batchesOf(n) }))
      const again = await subject().reopen()
      for (let n = 1; n <= 20; n++) {
        await again.addToLedger(anAddition(n, [], { batches: batchesOf(n), source: 'proxy-2' }))
      }

      for (const t of [0, 47, 89]) {
        const rows = await again.readLedger(`tenant-${t}`, 'hour', hour, hour + HOUR_MS)
        expect(rows.map(({ key, counts }) => [key, counts[countAt.requests], counts[countAt.promptTokens]])).toEqual([
          ['key-0', 60, 60 * t],
          ['key-1', 60, 60 * t],
        ])
        expect(await again.readLedger(`tenant-${t}`, 'minute', hour, hour + HOUR_MS)).toHaveLength(6)
      }
      expect(await again.listLedgerTenants()).toEqual(tenants.toSorted())
    })

    it('adds up what several proxies counted', async () => {
      const other = await subject().reopen()
      const work: Promise<void>[] = []
      for (let n = 1; n <= 5; n++) {
        work.push(store.addToLedger(anAddition(n, [aRow({ requests: 1 })])))
        await Promise.all(work)
        work.push(other.addToLedger(anAddition(n, [aRow({ requests: 1 })], { source: 'proxy-2' })))
      }
      await Promise.all(work)

      expect(await hours()).toEqual([aRow({ requests: 10 })])
    })

    it('collects the counts of tenants beyond the bound under one name', async () => {
      const batches = ['a', 'b', 'c', 'd'].map((tenant) => ({ tenant, rows: [aRow({ requests: 1 })] }))
      for (const number of [1, 2]) await store.addToLedger(anAddition(number, [], { batches, maxTenants: 2 }))

      // Which tenants are listed depends on the order in which the store adds new ones.
      const [others, ...listed] = await store.listLedgerTenants()
      const counted = await Promise.all(['a', 'b', 'c', 'd'].map(async (tenant) => [tenant, await hours(tenant)]))
      expect([others, listed.length]).toEqual([OTHER_TENANTS, 2])
      expect(await hours(OTHER_TENANTS)).toEqual([aRow({ requests: 4 })])
      expect(Object.fromEntries(counted)).toEqual(
        Object.fromEntries(
          ['a', 'b', 'c', 'd'].map((tenant) => [tenant, listed.includes(tenant) ? [aRow({ requests: 2 })] : []]),
        ),
      )
    })

    it('is gone with its tenant', async () => {
      const batches = ['acme', 'globex'].map((tenant) => ({ tenant, rows: [aRow({ requests: 1 })] }))
      await store.addToLedger(anAddition(1, [], { batches }))

      await store.forgetTenant('acme')
      const again = await subject().reopen()

      for (const unit of ['minute', 'hour'] as const) {
        expect(await again.readLedger('acme', unit, hour, hour + HOUR_MS)).toEqual([])
      }
      expect(await again.listLedgerTenants()).toEqual(['globex'])
      expect(await again.readLedger('globex', 'hour', hour, hour + HOUR_MS)).toEqual([aRow({ requests: 1 })])
    })

    it('no longer lists tenants that have been silent for longer than hours are kept', async () => {
      await store.addToLedger(anAddition(1, [aRow({ requests: 1 })]))

      await store.dropOldLedger(Date.now() + KEEP_MS - HOUR_MS, KEEP_MS)
      expect(await store.listLedgerTenants()).toEqual(['acme'])
      await store.dropOldLedger(Date.now() + KEEP_MS + HOUR_MS, KEEP_MS)
      expect(await store.listLedgerTenants()).toEqual([])
    })
  })
}
