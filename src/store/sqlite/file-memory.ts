// What this process knows of the file without reading it: exact, because nobody else writes. Where that is not sure, SQLite is asked before
// each use whether another connection has written, and if so, everything known is dropped.

import { AbsenceFilter } from './absence-filter.ts'
import { BoundaryCache } from './boundary-cache.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { numberAt, textAt } from './sqlite-rows.ts'
import { WrittenSessions } from './written-sessions.ts'

/** Of each filter: 8 MiB. */
const MAX_KEYS = 4 * 1024 * 1024

export interface FileMemory {
  readonly sessions: WrittenSessions
  readonly boundaries: BoundaryCache
  /** Of boundaries, whatever their tenant. */
  readonly digests: AbsenceFilter
  /** Of retired lineages, whatever their tenant. */
  readonly retired: AbsenceFilter
}

/** `soleWriter`: this process has the directory's lock (data-dir-lock.ts), so nothing is asked. */
export function fileMemoryOf(db: SqliteDatabase, soleWriter: boolean): FileMemory {
  const sessions = new WrittenSessions()
  const boundaries = new BoundaryCache()
  const digests = digestFilter(db)
  const retired = retiredFilter(db)
  const forget = () => {
    sessions.clear()
    boundaries.clear()
  }
  const versionOf = db.prepare('PRAGMA data_version')
  const version = () => numberAt(versionOf.get() ?? [], 0)
  let seen = version()
  const verify = () => {
    if (soleWriter) return
    const now = version()
    if (now === seen) return
    seen = now
    forget()
    // What others store is not added to the filters.
    digests.close()
    retired.close()
  }
  const closing = () => {
    digests.close()
    retired.close()
  }
  db.setListener({ verify, undone: forget, closing })
  return { sessions, boundaries, digests, retired }
}

function digestFilter(db: SqliteDatabase): AbsenceFilter {
  // Whatever is put again while the scan runs goes to the end, or was scanned already.
  const scan = db.prepare('SELECT digest, seq FROM boundaries WHERE seq > ? ORDER BY seq LIMIT ?')
  return new AbsenceFilter({
    maxKeys: MAX_KEYS,
    scan: (after = [0], atMost) =>
      scan.all(...after, atMost).map((row) => ({ key: textAt(row, 0), position: [numberAt(row, 1)] })),
  })
}

function retiredFilter(db: SqliteDatabase): AbsenceFilter {
  const scan = db.prepare(
    'SELECT lineage, tenant FROM retired_lineages WHERE (tenant, lineage) > (?, ?) ORDER BY tenant, lineage LIMIT ?',
  )
  return new AbsenceFilter({
    maxKeys: MAX_KEYS,
    scan: (after = ['', ''], atMost) =>
      scan.all(...after, atMost).map((row) => ({ key: textAt(row, 0), position: [textAt(row, 1), textAt(row, 0)] })),
  })
}
