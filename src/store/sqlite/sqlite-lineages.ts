// Lineages in SQLite: who shares one, who holds one, and which are retired. Every write under a lineage checks in its own transaction that
// it is not retired (sessions, windows), so there is no gap.

import type { Store } from '../store.ts'
import { retiredQuery, type SqliteCore } from './sqlite-core.ts'
import { numberAt, textAt, windowAt } from './sqlite-rows.ts'

/** Counts the sessions of a lineage. */
const MAX_COUNTED = 1_000

/** The lineage methods of the store. */
export function lineagesIn(
  core: SqliteCore,
): Pick<Store, 'claimLineage' | 'holdersOf' | 'retireLineage' | 'retireLineages' | 'isRetired'> {
  const { db, memory, sealer, now } = core
  const isRetired = retiredQuery(core)
  const sql = db.prepareAll({
    getShared: 'SELECT lineage FROM shared_lineages WHERE tenant = ? AND key = ?',
    addShared: 'INSERT INTO shared_lineages (tenant, key, lineage) VALUES (?, ?, ?)',
    countSessions: 'SELECT count(*) FROM (SELECT 1 FROM sessions WHERE tenant = ? AND lineage = ? LIMIT ?)',
    listWindows: `SELECT record, key_id, words FROM windows INDEXED BY windows_of_lineage
      WHERE tenant = ? AND lineage = ? ORDER BY created_at, name`,
    isHeld: `SELECT EXISTS (SELECT 1 FROM sessions WHERE tenant = ?1 AND lineage = ?2)
      OR EXISTS (SELECT 1 FROM windows WHERE tenant = ?1 AND lineage = ?2)
      OR EXISTS (SELECT 1 FROM shared_lineages WHERE tenant = ?1 AND lineage = ?2)`,
    retire: 'INSERT OR IGNORE INTO retired_lineages (tenant, lineage, retired_at) VALUES (?, ?, ?)',
  })

  function retire(tenant: string, lineage: string): boolean {
    if (memory.firstTurns.ofLineage(tenant, lineage, 1) > 0) return false
    if (sql.isHeld.get(tenant, lineage)?.[0] === 1) return false
    memory.retired.add(lineage)
    sql.retire.run(tenant, lineage, now())
    return true
  }

  return {
    claimLineage: (tenant, key, fresh) =>
      db.run(() => {
        const seen = sql.getShared.get(tenant, key)
        if (seen !== undefined) return textAt(seen, 0)
        return db.transaction('power', () => {
          const stored = sql.getShared.get(tenant, key)
          if (stored !== undefined) return textAt(stored, 0)
          sql.addShared.run(tenant, key, fresh)
          return fresh
        })
      }),

    holdersOf: (tenant, lineage) =>
      db.run(() => {
        const count = sql.countSessions.get(tenant, lineage, MAX_COUNTED)
        const windows = sql.listWindows.all(tenant, lineage).map((row) => windowAt(row, 0, sealer))
        const ordinary = count === undefined ? 0 : numberAt(count, 0)
        const compact = memory.firstTurns.ofLineage(tenant, lineage, MAX_COUNTED)
        return { sessions: Math.min(ordinary + compact, MAX_COUNTED), windows }
      }),

    retireLineage: (tenant, lineage) => db.run(() => db.transaction('power', () => retire(tenant, lineage))),

    retireLineages: (tenant, lineages) =>
      db.run(() => db.transaction('power', () => lineages.filter((lineage) => retire(tenant, lineage)))),

    isRetired: (tenant, lineage) => db.run(() => isRetired(tenant, lineage)),
  }
}
