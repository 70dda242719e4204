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

      expect(await store.listLedgerTenants()).toEqual([OTHER_TENANTS, 'a', 'b'])
      expect(await hours('b')).toEqual([aRow({ requests: 2 })])
      expect(await hours(OTHER_TENANTS)).toEqual([aRow({ requests: 4 })])
      expect(await hours('c')).toEqual([])
    })

    it('is gone with its tenant', async () => {
      const batches = ['acme', 'globex'].map((tenant) => ({ tenant, rows: [aRow({ requests: 1 })] }))
      await store.addToLedger(anAddition(1, [], { batches }))

      await store.forgetTenant('acme')

      expect([await minutes(), await hours()]).toEqual([[], []])
      expect(await store.listLedgerTenants()).toEqual(['globex'])
      expect(await hours('globex')).toEqual([aRow({ requests: 1 })])
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
