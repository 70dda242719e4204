// The ledger in SQLite: a row per tenant, unit, time, key and model, with its counts as one text.

import { addCounts } from '../../base/usage-counts.ts'
import {
  HOUR_MS,
  hourOf,
  keptFrom,
  type LedgerAddition,
  type LedgerBatch,
  type LedgerMethods,
  type LedgerRow,
  type LedgerUnit,
  OTHER_TENANTS,
  packCounts,
  unpackCounts,
} from '../ledger-methods.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, textAt } from './sqlite-rows.ts'

const units: readonly LedgerUnit[] = ['minute', 'hour']

/** The ledger methods of the store. They do not flush pending turns, because counts do not depend on them. */
export function ledgerIn({ db, now }: SqliteCore): LedgerMethods {
  const sql = db.prepareAll({
    seen: 'SELECT number FROM ledger_sources WHERE tenant = ? AND source = ?',
    see: 'INSERT OR REPLACE INTO ledger_sources (tenant, source, number, at) VALUES (?, ?, ?, ?)',
    listedAt: 'SELECT at FROM ledger_tenants WHERE tenant = ?',
    countTenants: 'SELECT count(*) FROM ledger_tenants',
    list: 'INSERT OR REPLACE INTO ledger_tenants (tenant, at) VALUES (?, ?)',
    tenants: 'SELECT tenant FROM ledger_tenants ORDER BY tenant',
    get: 'SELECT counts FROM ledger WHERE tenant = ? AND unit = ? AND at = ? AND key = ? AND model = ?',
    put: 'INSERT OR REPLACE INTO ledger (tenant, unit, at, key, model, counts) VALUES (?, ?, ?, ?, ?, ?)',
    read: `SELECT at, key, model, counts FROM ledger WHERE tenant = ? AND unit = ? AND at >= ? AND at < ?
      ORDER BY at, key, model`,
    drop: 'DELETE FROM ledger WHERE unit = ? AND at < ?',
    dropSources: 'DELETE FROM ledger_sources WHERE at < ?',
    dropTenants: 'DELETE FROM ledger_tenants WHERE at < ?',
  })

  function addRow(tenant: string, unit: LedgerUnit, at: number, { key, model, counts }: LedgerRow): void {
    const stored = sql.get.get(tenant, unit, at, key, model)
    const sums = [...unpackCounts(stored === undefined ? '' : textAt(stored, 0))]
    addCounts(sums, counts)
    sql.put.run(tenant, unit, at, key, model, packCounts(sums))
  }

  /** Lists a tenant if there is room. Most additions find it listed, and write nothing. */
  function isListed(tenant: string, hasRoom: () => boolean): boolean {
    const row = sql.listedAt.get(tenant)
    if (row === undefined && !hasRoom()) return false
    if (row === undefined || numberAt(row, 0) < now() - HOUR_MS) sql.list.run(tenant, now())
    return true
  }

  function addBatch({ tenant, rows }: LedgerBatch, { source, number, maxTenants }: LedgerAddition): void {
    const seen = sql.seen.get(tenant, source)
    if (seen !== undefined && numberAt(seen, 0) >= number) return
    sql.see.run(tenant, source, number, now())
    const hasRoom = () => {
      const total = sql.countTenants.get()
      return total === undefined || numberAt(total, 0) < maxTenants
    }
    const owner = isListed(tenant, hasRoom) ? tenant : OTHER_TENANTS
    if (owner !== tenant) isListed(owner, () => true)
    for (const row of rows) {
      addRow(owner, 'minute', row.at, row)
      addRow(owner, 'hour', hourOf(row.at), row)
    }
  }

  return {
    addToLedger: (addition) =>
      db.runBeside(() =>
        db.transaction('crash', () => {
          for (const batch of addition.batches) addBatch(batch, addition)
        }),
      ),

    readLedger: (tenant, unit, from, to) =>
      db.runBeside(() =>
        sql.read.all(tenant, unit, from, to).map((row) => ({
          at: numberAt(row, 0),
          key: textAt(row, 1),
          model: textAt(row, 2),
          counts: unpackCounts(textAt(row, 3)),
        })),
      ),

    listLedgerTenants: () => db.runBeside(() => sql.tenants.all().map((row) => textAt(row, 0))),

    dropOldLedger: (at, keepMs) =>
      db.runBeside(() =>
        db.transaction('crash', () => {
          for (const unit of units) sql.drop.run(unit, keptFrom(unit, at, keepMs))
          sql.dropSources.run(keptFrom('minute', at, keepMs))
          sql.dropTenants.run(at - keepMs)
        }),
      ),
  }
}
