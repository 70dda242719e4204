// Which rows a report reads.

import { expect, it } from 'vitest'
import { DAY_MS, HOUR_MS, type LedgerUnit, MINUTE_MS } from '../store/ledger-methods.ts'
import { reportUsage } from './usage-report.ts'

const now = Date.UTC(2026, 10, 30, 13, 5, 7)

/** The unit that is read for a span that began this long ago. */
async function unitFor(ageMs: number): Promise<LedgerUnit> {
  const store = { readLedger: async () => [], listLedgerTenants: async () => [] }
  const query = { tenant: 'acme', from: now - ageMs, to: now, by: [] }
  return (await reportUsage(store, query, { now, keepMs: 30 * DAY_MS, signal: new AbortController().signal })).unit
}

it.each<[string, number, LedgerUnit]>([
  ['the last day', DAY_MS, 'minute'],
  // The request was on its way, and the ledger wrote its counts first.
  ['the last day as asked for some seconds ago', DAY_MS + 5_000, 'minute'],
  ['a little more than the last day', DAY_MS + 10 * MINUTE_MS, 'hour'],
  ['two days', 2 * DAY_MS, 'hour'],
  ['an hour', HOUR_MS, 'minute'],
])('reads %s by the right unit', async (_, ageMs, wanted) => {
  expect(await unitFor(ageMs)).toBe(wanted)
})

it('is empty, with a span that does not end before it begins, for a time to come', async () => {
  const store = { readLedger: async () => [], listLedgerTenants: async () => [] }
  const query = { tenant: 'acme', from: now + 9 * DAY_MS, to: now + 10 * DAY_MS, by: [] }

  const report = await reportUsage(store, query, { now, keepMs: 30 * DAY_MS, signal: new AbortController().signal })

  expect(report.lines).toEqual([])
  expect(report.to).toBeGreaterThanOrEqual(report.from)
})
