// What each tenant holds of the bounded logs and turns, and whose entries are dropped when a bound is reached. Triggers count the amounts
// (sqlite-schema.ts).

import type { SqliteDatabase } from './sqlite-database.ts'
import { numberAt, textAt } from './sqlite-rows.ts'

/** What is shared. The names are those of their totals. */
export type Shared = 'audit_entries' | 'failed_audit_entries' | 'events' | 'retained_bytes'

export interface LargestShare {
  readonly tenant: string
  readonly amount: number
  /** What the next tenant holds, 0 if there is none. */
  readonly nextAmount: number
}

/** Tenants that one call of `dropOver` takes entries from, at most: it only takes more after a limit was lowered. */
const MAX_ROUNDS = 100
/** Entries dropped at once. */
const MAX_DROPPED = 1_000

/** Reads and trims one kind of share. Only inside a transaction. */
export function sharesOf(db: SqliteDatabase, of: Shared) {
  const sql = db.prepareAll({
    total: 'SELECT total FROM totals WHERE of = ?',
    largest: 'SELECT tenant, amount FROM shares WHERE of = ? ORDER BY amount DESC, gained_at LIMIT 2',
  })

  function total(): number {
    const row = sql.total.get(of)
    return row === undefined ? 0 : numberAt(row, 0)
  }

  /** The tenant that holds the most; among equal ones, the one whose last gain is oldest. `but`: a tenant to leave out. */
  function largest(but?: string): LargestShare | undefined {
    const rows = sql.largest.all(of).filter((row) => textAt(row, 0) !== but)
    const [first, next] = rows
    if (first === undefined) return undefined
    return {
      tenant: textAt(first, 0),
      amount: numberAt(first, 1),
      nextAmount: next === undefined ? 0 : numberAt(next, 1),
    }
  }

  /** Brings the number of entries down to `keep`, by dropping the oldest of the tenant with the most: `drop` drops the oldest `count` of one. */
  function trim(keep: number, drop: (share: LargestShare, count: number) => void): void {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const tooMany = total() - keep
      const share = tooMany > 0 ? largest() : undefined
      if (share === undefined) return
      drop(share, Math.min(tooMany, MAX_DROPPED, Math.max(1, share.amount - share.nextAmount)))
    }
  }

  return { total, largest, trim }
}
