// What this process knows of the file without reading it. That is exact while no other process writes. If that is uncertain, each use first
// checks whether another connection has written, and then drops everything known.

import { AbsenceFilter } from './absence-filter.ts'
import { BoundaryCache } from './boundary-cache.ts'
import { FirstTurns } from './first-turns.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { numberAt, textAt } from './sqlite-rows.ts'
import { WrittenSessions } from './written-sessions.ts'

/** Per filter: 8 MiB. */
const MAX_KEYS = 4 * 1024 * 1024

export interface FileMemory {
  readonly sessions: WrittenSessions
  readonly boundaries: BoundaryCache
  readonly firstTurns: FirstTurns
  /** Of all tenants' sessions in the ordinary tables. */
  readonly sessionIds: AbsenceFilter
  /** Of all tenants' boundaries in the ordinary tables. */
  readonly digests: AbsenceFilter
  /** Of all tenants' retired lineages. */
  readonly retired: AbsenceFilter
}

/** `soleWriter`: this process holds the directory's lock (data-dir-lock.ts), so no checks are needed. */
export function fileMemoryOf(db: SqliteDatabase, soleWriter: boolean): FileMemory {
  const sessions = new WrittenSessions()
  const boundaries = new BoundaryCache()
  const firstTurns = new FirstTurns(db)
  const filters = { sessionIds: sessionFilter(db), digests: digestFilter(db), retired: retiredFilter(db) }
  const closing = () => {
    for (const filter of Object.values(filters)) filter.close()
  }
  const clearCaches = () => {
    sessions.clear()
    boundaries.clear()
  }
  const undone = () => {
    clearCaches()
    firstTurns.undone()
  }
  const versionOf = db.prepare('PRAGMA data_version')
  const version = () => numberAt(versionOf.get() ?? [], 0)
  let seen = version()
  const verify = () => {
    const now = soleWriter ? seen : version()
    if (now !== seen) {
      seen = now
      clearCaches()
      firstTurns.invalidate()
      closing() // keys stored by others are not in the filters
    }
    firstTurns.refresh()
  }
  firstTurns.refresh()
  db.setListener({ verify, committed: () => firstTurns.committed(), undone, closing })
  return { sessions, boundaries, firstTurns, ...filters }
}

function sessionFilter(db: SqliteDatabase): AbsenceFilter {
  // From the index, which is a tenth of the table's size.
  return filterBy(db, 'SELECT id, tenant FROM sessions WHERE (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?')
}

function digestFilter(db: SqliteDatabase): AbsenceFilter {
  // Rows written again during the scan move to the end, or were scanned already.
  const scan = db.prepare('SELECT digest, seq FROM boundaries WHERE seq > ? ORDER BY seq LIMIT ?')
  return new AbsenceFilter({
    maxKeys: MAX_KEYS,
    scan: (after = [0], atMost) =>
      scan.all(...after, atMost).map((row) => ({ key: textAt(row, 0), position: [numberAt(row, 1)] })),
  })
}

function retiredFilter(db: SqliteDatabase): AbsenceFilter {
  return filterBy(
    db,
    'SELECT lineage, tenant FROM retired_lineages WHERE (tenant, lineage) > (?, ?) ORDER BY tenant, lineage LIMIT ?',
  )
}

/** `sql` reads keys with their tenants, in the order of tenants and keys. */
function filterBy(db: SqliteDatabase, sql: string): AbsenceFilter {
  const query = db.prepare(sql)
  return new AbsenceFilter({
    maxKeys: MAX_KEYS,
    scan: (after = ['', ''], atMost) =>
      query.all(...after, atMost).map((row) => ({ key: textAt(row, 0), position: [textAt(row, 1), textAt(row, 0)] })),
  })
}
