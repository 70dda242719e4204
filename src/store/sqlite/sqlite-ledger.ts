// The ledger in SQLite: a journal (sqlite-ledger-journal.ts), and a row per tenant, unit, time, key and model, with its counts as one text.

import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  byLedgerGroup,
  keptFrom,
  type LedgerMethods,
  type LedgerUnit,
  ledgerGroupOf,
  OTHER_TENANTS,
  unpackCounts,
} from '../ledger-methods.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { ledgerJournalIn } from './sqlite-ledger-journal.ts'
import { numberAt, textAt } from './sqlite-rows.ts'

const units: readonly LedgerUnit[] = ['minute', 'hour']
/** A group's journal is folded after so many additions: each minute, as an addition comes at most once a second. */
const FOLD_ADDITIONS = 60
/** Or earlier, once it has so many rows of tenants. Folding them takes a few milliseconds, which block the event loop. */
const FOLD_ROWS = 1_000

/** What a group's journal holds since it was folded. */
interface Unfolded {
  additions: number
  rows: number
}

/** The ledger methods of the store. They do not flush pending turns, because counts do not depend on them. */
export function ledgerIn(core: SqliteCore): LedgerMethods {
  const { db } = core
  const journal = ledgerJournalIn(core)
  const sql = db.prepareAll({
    tenants: 'SELECT tenant FROM ledger_tenants ORDER BY tenant',
    read: `SELECT at, key, model, counts FROM ledger WHERE tenant = ? AND unit = ? AND at >= ? AND at < ?
      ORDER BY at, key, model`,
    drop: 'DELETE FROM ledger WHERE unit = ? AND at < ?',
    dropTenants: 'DELETE FROM ledger_tenants WHERE at < ?',
  })
  /** By group, of additions by this process. What an earlier one left is folded together with them. */
  const unfolded = new Map<number, Unfolded>()
  /** The newest number of each source. A source repeats additions only within its process, and the file belongs to one process. */
  const numbers = new Map<string, number>()

  function fold(group: number): void {
    journal.fold(group)
    unfolded.set(group, { additions: 0, rows: 0 })
  }

  /** Whether a group's journal is due for folding. Call it after `rows` more were appended. */
  function isDue(group: number, rows: number): boolean {
    // The first time earlier in some groups than in others: they would otherwise all be folded in the same second.
    const pending = unfolded.get(group) ?? { additions: group % FOLD_ADDITIONS, rows: 0 }
    pending.additions++
    pending.rows += rows
    unfolded.set(group, pending)
    return pending.additions >= FOLD_ADDITIONS || pending.rows >= FOLD_ROWS
  }

  async function foldAll(): Promise<void> {
    for (const group of await db.runBeside(() => journal.groups())) {
      await db.runBeside(() => db.transaction('crash', () => fold(group)))
      await nextTurn()
    }
  }

  function foldIfAny(group: number): void {
    if (journal.hasRows(group)) db.transaction('crash', () => fold(group))
  }

  return {
    addToLedger: ({ source, number, batches, maxTenants }) =>
      db.runBeside(() => {
        if ((numbers.get(source) ?? 0) >= number) return
        db.transaction('crash', () => {
          for (const [group, inGroup] of byLedgerGroup(batches)) {
            journal.append(group, inGroup, maxTenants)
            const rows = inGroup.reduce((sum, batch) => sum + batch.rows.length, 0)
            if (isDue(group, rows)) fold(group)
          }
        })
        numbers.set(source, number)
      }),

    async readLedger(tenant, unit, from, to) {
      // Any group may have added to it.
      if (tenant === OTHER_TENANTS) await foldAll()
      return await db.runBeside(() => {
        foldIfAny(ledgerGroupOf(tenant))
        return sql.read.all(tenant, unit, from, to).map((row) => ({
          at: numberAt(row, 0),
          key: textAt(row, 1),
          model: textAt(row, 2),
          counts: unpackCounts(textAt(row, 3)),
        }))
      })
    },

    async listLedgerTenants() {
      await foldAll()
      return await db.runBeside(() => sql.tenants.all().map((row) => textAt(row, 0)))
    },

    async dropOldLedger(at, keepMs) {
      await foldAll()
      await db.runBeside(() =>
        db.transaction('crash', () => {
          for (const unit of units) sql.drop.run(unit, keptFrom(unit, at, keepMs))
          sql.dropTenants.run(at - keepMs)
        }),
      )
    },
  }
}
