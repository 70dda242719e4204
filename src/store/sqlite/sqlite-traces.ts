// What turns leave beside their sessions: boundaries (which history leads to which session) and the ids of stored responses.

import type { SessionRecord } from '../../base/records.ts'
import { retiredForMs } from '../session-rows.ts'
import type { BoundaryHit, Store, TurnTrace } from '../store.ts'
import type { SqliteCore } from './sqlite-core.ts'
import type { SqliteDatabase } from './sqlite-database.ts'
import { textAt } from './sqlite-rows.ts'

/** A boundary may expire early by one part in so many of its time. */
const PUT_OFF_PARTS = 32

/** Writes and drops traces. Only inside a transaction, which also holds the session. */
export interface TraceWriter {
  /** The traces of one or more turns of the session, oldest first. */
  write(session: SessionRecord, traces: readonly TurnTrace[]): void
  dropOf(tenant: string, sessionId: string): void
}

/** Prepares a {@link TraceWriter}. */
export function traceWriter(db: SqliteDatabase): TraceWriter {
  const sql = db.prepareAll({
    // By a higher `seq` it becomes the session's newest. What another session holds, or nobody alone, is nobody's alone until it expires.
    put: `INSERT INTO boundaries (tenant, digest, session_id, expires_at, rank) VALUES (?1, ?2, ?3, ?4, ?6)
      ON CONFLICT (tenant, digest) DO UPDATE SET
        seq = (SELECT max(seq) + 1 FROM boundaries),
        rank = ?6,
        session_id = CASE WHEN session_id = ?3 OR expires_at <= ?5 THEN ?3 END,
        expires_at = CASE WHEN session_id = ?3 OR expires_at <= ?5 THEN ?4 ELSE max(expires_at, ?4) END`,
    trim: `DELETE FROM boundaries WHERE tenant = ?1 AND session_id = ?2 AND rank = ?4 AND seq <= (
      SELECT seq FROM boundaries WHERE tenant = ?1 AND session_id = ?2 AND rank = ?4
      ORDER BY seq DESC LIMIT 1 OFFSET ?3)`,
    putOff: `UPDATE boundaries SET expires_at = ?3
      WHERE tenant = ?1 AND session_id = ?2 AND rank > 0 AND expires_at < ?4 AND expires_at > ?5`,
    dropBoundaries: 'DELETE FROM boundaries WHERE tenant = ? AND session_id = ?',
    putResponse: 'INSERT OR REPLACE INTO responses (tenant, id, session_id, expires_at) VALUES (?, ?, ?, ?)',
    dropResponses: 'DELETE FROM responses WHERE tenant = ? AND session_id = ?',
  })

  return {
    write({ tenant, id, lastTurnAt }, traces) {
      const ranks = new Map<number, number>()
      let extendedTo = 0
      for (const { boundaries, keepBoundaries, responses = [] } of traces) {
        for (const { digest, expiresAt, rank = 0 } of boundaries) {
          // The turn's own time: what had expired by then makes nobody ambiguous.
          sql.put.run(tenant, digest, id, expiresAt, lastTurnAt, rank)
          if (rank > 0) extendedTo = Math.max(extendedTo, expiresAt)
          ranks.set(rank, keepBoundaries)
        }
        for (const response of responses) sql.putResponse.run(tenant, response.id, id, response.expiresAt)
      }
      if (extendedTo > 0) sql.putOff.run(tenant, id, extendedTo, lateEnough(extendedTo, lastTurnAt), lastTurnAt)
      for (const [rank, keep] of ranks) sql.trim.run(tenant, id, keep, rank)
    },
    dropOf(tenant, sessionId) {
      sql.dropBoundaries.run(tenant, sessionId)
      sql.dropResponses.run(tenant, sessionId)
    },
  }
}

/**
 * The expiry that is not put off for so little as would be gained. Otherwise each turn writes all of a session's boundaries above rank 0
 * again, which cost an eighth of a turn.
 */
function lateEnough(expiresAt: number, lastTurnAt: number): number {
  return expiresAt - Math.floor((expiresAt - lastTurnAt) / PUT_OFF_PARTS)
}

/** The trace methods of the store. */
export function tracesIn({ db }: SqliteCore): Pick<Store, 'findBoundaries' | 'findResponse' | 'dropExpired'> {
  const sql = db.prepareAll({
    findOne: 'SELECT digest, session_id FROM boundaries WHERE tenant = ? AND digest = ? AND expires_at > ?',
    find: `SELECT digest, session_id FROM boundaries
      WHERE tenant = ? AND digest IN (SELECT value FROM json_each(?)) AND expires_at > ?`,
    findResponse: 'SELECT session_id FROM responses WHERE tenant = ? AND id = ? AND expires_at > ?',
    dropBoundaries: `DELETE FROM boundaries WHERE seq IN (
      SELECT seq FROM boundaries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
    dropResponses: `DELETE FROM responses WHERE (tenant, id) IN (
      SELECT tenant, id FROM responses WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
    dropRetired: `DELETE FROM retired_lineages WHERE (tenant, lineage) IN (
      SELECT tenant, lineage FROM retired_lineages WHERE retired_at <= ? ORDER BY retired_at LIMIT ?)`,
  })
  return {
    // A boundary that waits to be written is known to the process that waits (sessions/histories.ts).
    findBoundaries: (tenant, digests, now) =>
      db.runBeside(() => {
        const [first, ...others] = digests
        const rows =
          first !== undefined && others.length === 0
            ? [sql.findOne.get(tenant, first, now)].filter((row) => row !== undefined)
            : sql.find.all(tenant, JSON.stringify(digests), now)
        return new Map(
          rows.map((row): [string, BoundaryHit] => [
            textAt(row, 0),
            row[1] === null ? 'ambiguous' : { sessionId: textAt(row, 1) },
          ]),
        )
      }),

    findResponse: (tenant, responseId, now) =>
      db.run(() => {
        const row = sql.findResponse.get(tenant, responseId, now)
        return row === undefined ? undefined : textAt(row, 0)
      }),

    dropExpired: (now, atMost) =>
      db.run(() =>
        db.transaction('crash', () => {
          let dropped = sql.dropBoundaries.run(now, atMost)
          if (dropped < atMost) dropped += sql.dropResponses.run(now, atMost - dropped)
          if (dropped < atMost) dropped += sql.dropRetired.run(now - retiredForMs, atMost - dropped)
          return dropped
        }),
      ),
  }
}
