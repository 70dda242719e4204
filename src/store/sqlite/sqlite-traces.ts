// What turns leave beside their sessions: boundaries (which history leads to which session) and the ids of stored responses.

import type { Boundary, SessionRecord } from '../../base/records.ts'
import { retiredForMs } from '../session-rows.ts'
import type { Store } from '../store.ts'
import type { BoundaryHit, TurnTrace } from '../store-values.ts'
import type { StoredBoundary } from './boundary-cache.ts'
import type { FirstTurn } from './first-turn-codec.ts'
import { promoter } from './promote.ts'
import type { SqliteCore } from './sqlite-core.ts'
import type { Bindable, Query } from './sqlite-database.ts'
import { numberAt, type Row, textAt } from './sqlite-rows.ts'
import type { BoundaryBounds } from './written-sessions.ts'

/** A boundary may expire early by this fraction of its lifetime. */
const PUT_OFF_PARTS = 32

/** Writes and drops traces. Only inside the transaction that also writes the session. */
export interface TraceWriter {
  /** Writes the traces of one or more turns of the session, oldest first. `bounds`: what is known of its boundaries; it is updated. */
  write(session: SessionRecord, traces: readonly TurnTrace[], bounds: BoundaryBounds): void
  dropOf(tenant: string, sessionId: string): void
  /** Whether no session has any of these boundaries, so that they can be stored in a compact row. */
  areFree(session: SessionRecord, traces: readonly TurnTrace[]): boolean
}

/** Prepares a {@link TraceWriter}. */
export function traceWriter({ db, memory }: SqliteCore): TraceWriter {
  const sql = db.prepareAll({
    // A higher `seq` makes it the session's newest. A boundary of another session, or an ambiguous one, is ambiguous until it expires.
    put: `INSERT INTO boundaries (tenant, digest, session_id, expires_at, rank) VALUES (?1, ?2, ?3, ?4, ?6)
      ON CONFLICT (tenant, digest) DO UPDATE SET
        seq = (SELECT max(seq) + 1 FROM boundaries),
        rank = ?6,
        session_id = CASE WHEN session_id = ?3 OR expires_at <= ?5 THEN ?3 END,
        expires_at = CASE WHEN session_id = ?3 OR expires_at <= ?5 THEN ?4 ELSE max(expires_at, ?4) END`,
    trim: `DELETE FROM boundaries WHERE tenant = ?1 AND session_id = ?2 AND rank = ?4 AND seq <= (
      SELECT seq FROM boundaries WHERE tenant = ?1 AND session_id = ?2 AND rank = ?4
      ORDER BY seq DESC LIMIT 1 OFFSET ?3) RETURNING digest`,
    putOff: `UPDATE boundaries SET expires_at = ?3
      WHERE tenant = ?1 AND session_id = ?2 AND rank > 0 AND expires_at < ?4 AND expires_at > ?5 RETURNING digest`,
    dropBoundaries: 'DELETE FROM boundaries WHERE tenant = ? AND session_id = ? RETURNING digest',
    isHeld: 'SELECT 1 FROM boundaries WHERE tenant = ? AND digest = ?',
    putResponse: 'INSERT OR REPLACE INTO responses (tenant, id, session_id, expires_at, engine) VALUES (?, ?, ?, ?, ?)',
    dropResponses: 'DELETE FROM responses WHERE tenant = ? AND session_id = ?',
  })

  const promote = promoter({ db, memory })

  function put({ tenant, id, lastTurnAt }: SessionRecord, boundary: Boundary, bounds: BoundaryBounds): void {
    const { digest, expiresAt, rank = 0 } = boundary
    const holder = memory.firstTurns.byDigest(tenant, digest)
    if (holder !== undefined) promote(holder)
    const before = memory.boundaries.get(tenant, digest)
    const isAbsent = before === undefined && memory.digests.certainlyLacks(digest)
    memory.digests.add(digest)
    // The turn's own time: boundaries that had expired by then cause no ambiguity.
    sql.put.run(tenant, digest, id, expiresAt, lastTurnAt, rank)
    bounds.put(rank, expiresAt, before?.sessionId !== id || before.rank !== rank)
    if (before === undefined && !isAbsent) return
    const isOwn = before === undefined || before.sessionId === id || before.expiresAt <= lastTurnAt
    memory.boundaries.set(
      tenant,
      digest,
      isOwn
        ? { sessionId: id, expiresAt, rank }
        : { sessionId: null, expiresAt: Math.max(before.expiresAt, expiresAt), rank },
    )
  }

  function drop(query: Query, tenant: string, ...values: readonly Bindable[]): void {
    for (const row of query.all(tenant, ...values)) memory.boundaries.delete(tenant, textAt(row, 0))
  }

  return {
    write(session, traces, bounds) {
      const { tenant, id, lastTurnAt } = session
      const ranks = new Map<number, number>()
      let extendedTo = 0
      for (const { boundaries, keepBoundaries, responses = [] } of traces) {
        for (const boundary of boundaries) {
          const { expiresAt, rank = 0 } = boundary
          put(session, boundary, bounds)
          if (rank > 0) extendedTo = Math.max(extendedTo, expiresAt)
          ranks.set(rank, keepBoundaries)
        }
        for (const { id: response, expiresAt, engine = null } of responses)
          sql.putResponse.run(tenant, response, id, expiresAt, engine)
      }
      const enough = lateEnough(extendedTo, lastTurnAt)
      if (extendedTo > 0 && !bounds.lastUntil(enough)) {
        drop(sql.putOff, tenant, id, extendedTo, enough, lastTurnAt) // read again on the next use
        bounds.putOff(enough)
      }
      for (const [rank, keep] of ranks) {
        if (bounds.atMost(rank) <= keep) continue
        drop(sql.trim, tenant, id, keep, rank)
        bounds.trimmed(rank, keep)
      }
    },
    dropOf(tenant, sessionId) {
      drop(sql.dropBoundaries, tenant, sessionId)
      sql.dropResponses.run(tenant, sessionId)
    },
    areFree({ tenant }, traces) {
      const isFree = ({ digest }: Boundary) =>
        memory.firstTurns.byDigest(tenant, digest) === undefined &&
        (memory.digests.certainlyLacks(digest) || sql.isHeld.get(tenant, digest) === undefined)
      return traces.every(({ boundaries }) => boundaries.every(isFree))
    },
  }
}

/**
 * Returns the stored expiry if extending it would gain too little. Otherwise each turn would rewrite all of a session's boundaries above
 * rank 0, which cost an eighth of a turn.
 */
function lateEnough(expiresAt: number, lastTurnAt: number): number {
  return expiresAt - Math.floor((expiresAt - lastTurnAt) / PUT_OFF_PARTS)
}

/** The trace methods of the store. */
export function tracesIn({ db, memory }: SqliteCore): Pick<Store, 'findBoundaries' | 'findResponse' | 'dropExpired'> {
  const sql = db.prepareAll({
    findOne: 'SELECT digest, session_id, expires_at, rank FROM boundaries WHERE tenant = ? AND digest = ?',
    find: `SELECT digest, session_id, expires_at, rank FROM boundaries
      WHERE tenant = ? AND digest IN (SELECT value FROM json_each(?))`,
    findResponse: 'SELECT session_id, engine FROM responses WHERE tenant = ? AND id = ? AND expires_at > ?',
    dropBoundaries: `DELETE FROM boundaries WHERE seq IN (
      SELECT seq FROM boundaries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?) RETURNING digest, tenant`,
    dropResponses: `DELETE FROM responses WHERE (tenant, id) IN (
      SELECT tenant, id FROM responses WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
    dropPlacements: `DELETE FROM placements WHERE key IN (
      SELECT key FROM placements WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
    dropRetired: `DELETE FROM retired_lineages WHERE (tenant, lineage) IN (
      SELECT tenant, lineage FROM retired_lineages WHERE retired_at <= ? ORDER BY retired_at LIMIT ?)`,
  })

  /** From the file, for digests missing in memory. */
  function read(tenant: string, digests: readonly string[]): readonly Row[] {
    const [first, ...others] = digests
    if (first === undefined) return []
    if (others.length > 0) return sql.find.all(tenant, JSON.stringify(digests))
    const row = sql.findOne.get(tenant, first)
    return row === undefined ? [] : [row]
  }

  return {
    // The process whose boundary waits to be written knows it (sessions/histories.ts).
    findBoundaries: (tenant, digests, now) =>
      db.runBeside(() => {
        const hits = new Map<string, BoundaryHit>()
        const note = (digest: string, { sessionId, expiresAt }: StoredBoundary) => {
          if (expiresAt > now) hits.set(digest, sessionId === null ? 'ambiguous' : { sessionId })
        }
        const noteFirst = (digest: string, { session, boundaries }: FirstTurn) => {
          const { expiresAt, rank = 0 } = boundaries.find((boundary) => boundary.digest === digest) ?? { expiresAt: 0 }
          const stored = { sessionId: session.id, expiresAt, rank }
          memory.boundaries.set(tenant, digest, stored)
          note(digest, stored)
        }
        const unknown: string[] = []
        for (const digest of digests) {
          const known = memory.boundaries.get(tenant, digest)
          const holder = known === undefined ? memory.firstTurns.byDigest(tenant, digest) : undefined
          if (known !== undefined) note(digest, known)
          else if (holder !== undefined) noteFirst(digest, holder)
          else if (!memory.digests.certainlyLacks(digest)) unknown.push(digest)
        }
        for (const row of read(tenant, unknown)) {
          const sessionId = row[1] === null ? null : textAt(row, 1)
          const stored = { sessionId, expiresAt: numberAt(row, 2), rank: numberAt(row, 3) }
          memory.boundaries.set(tenant, textAt(row, 0), stored)
          note(textAt(row, 0), stored)
        }
        return hits
      }),

    findResponse: (tenant, responseId, now) =>
      db.run(() => {
        const row = sql.findResponse.get(tenant, responseId, now)
        if (row === undefined) return undefined
        const sessionId = textAt(row, 0)
        return row[1] === null ? { sessionId } : { sessionId, engine: textAt(row, 1) }
      }),

    dropExpired: (now, atMost) =>
      db.run(() =>
        db.transaction('crash', () => {
          const boundaries = sql.dropBoundaries.all(now, atMost)
          for (const row of boundaries) memory.boundaries.delete(textAt(row, 1), textAt(row, 0))
          let dropped = boundaries.length
          if (dropped < atMost) dropped += sql.dropResponses.run(now, atMost - dropped)
          if (dropped < atMost) dropped += sql.dropPlacements.run(now, atMost - dropped)
          if (dropped < atMost) dropped += sql.dropRetired.run(now - retiredForMs, atMost - dropped)
          return dropped
        }),
      ),
  }
}
