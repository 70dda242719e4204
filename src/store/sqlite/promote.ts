// Moves a session from its compact row into the ordinary tables when something touches it after its first turn.

import type { SessionRecord } from '../../base/records.ts'
import type { StoredFirstTurn } from './first-turns.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { sessionColumns } from './sqlite-rows.ts'

/** `next`: the record to store instead of the existing one. Only inside a transaction. */
export type Promote = (stored: StoredFirstTurn, next?: SessionRecord) => void

/** Prepares a {@link Promote}. */
export function promoter({ db, memory }: Pick<SqliteCore, 'db' | 'memory'>): Promote {
  const sql = db.prepareAll({
    add: `INSERT INTO sessions (tenant, id, lineage, last_turn_at, lasting, record, base_window)
      VALUES (?, ?, ?, ?, ?, ?, ?)`,
    // No other session has any of them, because its writer would have moved this session first.
    addBoundary: 'INSERT INTO boundaries (tenant, digest, session_id, expires_at, rank) VALUES (?, ?, ?, ?, ?)',
  })
  return (stored, next = stored.session) => {
    memory.firstTurns.remove(stored)
    memory.sessionIds.add(next.id)
    sql.add.run(...sessionColumns(next))
    for (const { tenant, digest, sessionId, expiresAt, rank = 0 } of stored.boundaries) {
      memory.digests.add(digest)
      sql.addBoundary.run(tenant, digest, sessionId, expiresAt, rank)
    }
  }
}
