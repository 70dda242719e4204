// Sessions in SQLite: get-or-create, turns, heads, and their end. sqlite-traces.ts stores what a turn leaves beside its session.

import { CwmError } from '../../base/errors.ts'
import type { SessionRecord } from '../../base/records.ts'
import { checkLimit, placeIn, toPageAt } from '../page.ts'
import { type PendingTurn, PendingTurns } from '../pending-turns.ts'
import { afterTurn, isLasting, removedSessions } from '../session-rows.ts'
import type { SessionMethods } from '../store.ts'
import type { SaveOutcome, TurnTrace } from '../store-values.ts'
import { newestFirst, type StoredFirstTurn } from './first-turns.ts'
import { promoter } from './promote.ts'
import { end, orderWriter, retiredQuery, type SqliteCore } from './sqlite-core.ts'
import { holdingIn } from './sqlite-held.ts'
import { recordAt, sessionColumns } from './sqlite-rows.ts'
import { traceWriter } from './sqlite-traces.ts'
import { BoundaryBounds, type WrittenSession } from './written-sessions.ts'

interface FoundSession extends WrittenSession {
  /** Its compact row, if it has one. */
  readonly compact?: StoredFirstTurn
}

function settle(turns: readonly PendingTurn[], how: (one: PendingTurn['settle'][number], index: number) => void): void {
  for (const [i, turn] of turns.entries()) for (const one of turn.settle) how(one, i)
}

/** The session methods of the store. */
export function sessionsIn(core: SqliteCore): SessionMethods {
  const { db, memory } = core
  const traces = traceWriter(core)
  const promote = promoter(core)
  const writeOrder = orderWriter(core)
  const isRetired = retiredQuery(core)
  const holding = holdingIn(core)
  const sql = db.prepareAll({
    get: 'SELECT record FROM sessions WHERE tenant = ? AND id = ?',
    add: `INSERT INTO sessions (tenant, id, lineage, last_turn_at, lasting, record, base_window)
      VALUES (?, ?, ?, ?, ?, ?, ?)`,
    put: 'UPDATE sessions SET lineage = ?3, last_turn_at = ?4, lasting = ?5, record = ?6 WHERE tenant = ?1 AND id = ?2',
    rebase: 'UPDATE sessions SET base_window = ?3 WHERE tenant = ?1 AND id = ?2',
    drop: 'DELETE FROM sessions WHERE tenant = ? AND id = ?',
    dropRetained: 'DELETE FROM retained WHERE tenant = ? AND session_id = ?',
    isHeldBeside: `SELECT EXISTS (SELECT 1 FROM windows WHERE tenant = ?1 AND lineage = ?2)
      OR EXISTS (SELECT 1 FROM shared_lineages WHERE tenant = ?1 AND lineage = ?2)
      OR (SELECT count(*) FROM (SELECT 1 FROM sessions WHERE tenant = ?1 AND lineage = ?2 LIMIT 2)) > ?3`,
    list: `SELECT record FROM sessions WHERE tenant = ? AND (last_turn_at, id) < (?, ?)
      ORDER BY last_turn_at DESC, id DESC LIMIT ?`,
    listBefore: `SELECT record FROM sessions WHERE tenant = ? AND (last_turn_at, id) > (?, ?)
      ORDER BY last_turn_at, id LIMIT ?`,
    idle: `SELECT record FROM sessions WHERE lasting = ? AND last_turn_at > ? AND last_turn_at < ?
      ORDER BY last_turn_at LIMIT ?`,
  })

  function read(tenant: string, id: string): SessionRecord | undefined {
    const compact = memory.firstTurns.get(tenant, id)
    if (compact !== undefined) return compact.session
    const row = sql.get.get(tenant, id)
    return row === undefined ? undefined : recordAt<SessionRecord>(row, 0)
  }

  /** Returns false if its lineage is retired. The session must not exist. */
  function add(session: SessionRecord): boolean {
    if (isRetired(session.tenant, session.lineage)) return false
    memory.sessionIds.add(session.id)
    sql.add.run(...sessionColumns(session))
    return true
  }

  /** The session must exist; `compact`: its compact row, if it has one. */
  function put(session: SessionRecord, compact = memory.firstTurns.get(session.tenant, session.id)): void {
    if (compact !== undefined) {
      promote(compact, session)
      return
    }
    const [tenant, id, lineage, lastTurnAt, lasting, record] = sessionColumns(session)
    sql.put.run(tenant, id, lineage, lastTurnAt, lasting, record)
  }

  function rebase({ baseWindowId: before }: SessionRecord, { tenant, id, baseWindowId: base }: SessionRecord): void {
    if (base === before) return
    sql.rebase.run(tenant, id, base ?? null)
    holding.left(tenant, before)
  }

  function begin(session: SessionRecord, left: readonly TurnTrace[]): SaveOutcome {
    if (!holding.hasBase(session)) return 'no_base'
    if (isRetired(session.tenant, session.lineage)) return 'gone'
    // Compact sessions are not cached, because most are never continued.
    if (traces.areFree(session, left) && memory.firstTurns.add(session, left)) return 'saved'
    const bounds = BoundaryBounds.ofNew()
    add(session)
    traces.write(session, left, bounds)
    memory.sessions.set(session, bounds)
    return 'saved'
  }

  /** Undefined if it is not stored. */
  function find(session: SessionRecord): FoundSession | undefined {
    const { tenant, id } = session
    const known = memory.sessions.get(session)
    if (known !== undefined) return known
    const compact = memory.firstTurns.get(tenant, id)
    if (compact !== undefined) {
      return { stored: compact.session, boundaries: BoundaryBounds.of(compact.boundaries), compact }
    }
    const stored = memory.sessionIds.certainlyLacks(id) ? undefined : read(tenant, id)
    return stored && { stored, boundaries: BoundaryBounds.unknown() }
  }

  function write({ session, isNew, traces: left }: PendingTurn): SaveOutcome {
    const found = find(session)
    if (found === undefined) return isNew ? begin(session, left) : 'gone'
    const { stored, boundaries, compact } = found
    if (stored.head !== session.head) return 'moved'
    if (stored.lineage !== session.lineage) return 'gone' // ended, and started again under the same name
    const next = afterTurn(stored, session)
    put(next, compact)
    memory.sessions.set(next, boundaries)
    traces.write(session, left, boundaries)
    return 'saved'
  }

  /** Returns false if it is gone, has another lineage now, or has had a turn since. */
  function remove({ tenant, id, lineage, lastTurnAt }: SessionRecord): boolean {
    const compact = memory.firstTurns.get(tenant, id)
    const stored = compact?.session ?? read(tenant, id)
    if (stored === undefined || stored.lineage !== lineage || stored.lastTurnAt > lastTurnAt) return false
    if (compact === undefined) {
      sql.drop.run(tenant, id)
      traces.dropOf(tenant, id)
    } else {
      memory.firstTurns.remove(compact)
      for (const { digest } of compact.boundaries) memory.boundaries.delete(tenant, digest)
    }
    memory.sessions.delete(tenant, id)
    sql.dropRetained.run(tenant, id)
    holding.left(tenant, stored.baseWindowId)
    return true
  }

  /** Also returns false if another session or window holds its lineage. */
  function removeAlone(session: SessionRecord): boolean {
    const { tenant, lineage } = session
    const compact = memory.firstTurns.ofLineage(tenant, lineage, 2)
    if (compact > 1 || sql.isHeldBeside.get(tenant, lineage, 1 - compact)?.[0] === 1) return false
    return remove(session)
  }

  /**
   * The rest of a batch that met another process's lock. Later turns wait for it, because an older record would otherwise overwrite a newer
   * one.
   */
  let underWay: Promise<void> | undefined

  /** Undefined if everything is written; otherwise settles when it is. Never rejects, because each turn has its own promise. */
  function writePending(): Promise<void> | undefined {
    if (underWay !== undefined) return pending.size === 0 ? underWay : underWay.then(writePending)
    const turns = pending.take()
    if (turns.length === 0) return undefined
    let isWritten = false
    // Later turns and windows depend on a new session, but losing one more turn only costs a cold turn.
    const survives = turns.some(({ isNew }) => isNew) ? 'power' : 'crash'
    const written = db
      .runBeside(() => {
        const outcomes = db.transaction(survives, () => turns.map(write))
        isWritten = true
        return outcomes
      })
      .then(
        (outcomes) => settle(turns, (turn, i) => turn.resolve(outcomes[i] ?? 'gone')),
        (error: unknown) => settle(turns, (turn) => turn.reject(error)),
      )
    if (isWritten) return undefined
    underWay = written.finally(() => {
      underWay = undefined
    })
    return underWay
  }

  const pending = new PendingTurns(() => void writePending(), core.writeAfterMs)
  db.beforeRuns(writePending)

  return {
    getOrCreateSession: (fresh) =>
      db.run(() => {
        const seen = read(fresh.tenant, fresh.id) // most calls end here, without the writers' lock
        if (seen !== undefined) return seen
        return db.transaction('power', () => {
          const stored = read(fresh.tenant, fresh.id)
          if (stored !== undefined) return stored
          if (!add(fresh)) throw new CwmError('BUSY', 'the session has just ended: send the request again')
          return fresh
        })
      }),

    getSession: (tenant, id) => db.run(() => read(tenant, id)),

    async listSessions(tenant, page) {
      checkLimit(page.limit)
      const place = placeIn('sessions', page, 'number', 'string')
      const [at, id] = place.position ?? [end, '']
      const [query, compactOnes] = place.isBackward
        ? ([sql.listBefore, 'oldest'] as const)
        : ([sql.list, 'newest'] as const)
      return db.run(() => {
        const most = page.limit + 1
        const rows = query.all(tenant, at, id, most).map((row) => recordAt<SessionRecord>(row, 0))
        const sessions = [...rows, ...memory.firstTurns[compactOnes](tenant, at, id, most)].sort(newestFirst)
        return toPageAt(
          'sessions',
          place,
          (place.isBackward ? sessions.reverse() : sessions).slice(0, most),
          page.limit,
          (session) => session,
          (session) => [session.lastTurnAt, session.id],
        )
      })
    },

    async saveTurn(session, trace, isNew) {
      const { tenant, id } = session
      if (trace.boundaries.some((boundary) => boundary.tenant !== tenant || boundary.sessionId !== id)) {
        throw new CwmError('INTERNAL', "a turn's boundaries must belong to its own session")
      }
      const saved = pending.add(session, trace, isNew)
      if (trace.mayWait !== true) void writePending()
      return saved
    },

    bindSession: (session, isNew) =>
      db.run(() =>
        db.transaction('power', (): SaveOutcome => {
          const stored = read(session.tenant, session.id)
          if (stored === undefined && !isNew) return 'gone'
          if (stored !== undefined && stored.head !== session.head - 1) return 'moved'
          if (!holding.hasBase(session)) return 'no_base'
          if (stored === undefined) return add(session) ? 'saved' : 'gone'
          if (isRetired(session.tenant, session.lineage)) return 'gone'
          put(session)
          memory.sessions.delete(session.tenant, session.id)
          rebase(stored, session)
          return 'saved'
        }),
      ),

    listIdle: (before, lasting, atMost, after = -1) =>
      db.run(() => {
        const rows = sql.idle.all(Number(lasting), after, before, atMost).map((row) => recordAt<SessionRecord>(row, 0))
        const compact = memory.firstTurns.idle({ after, before }, (shape) => isLasting(shape) === lasting, atMost)
        return [...rows, ...compact].sort((a, b) => a.lastTurnAt - b.lastTurnAt).slice(0, atMost)
      }),

    removeSessions: (sessions, order) =>
      db.run(() =>
        db.transaction('power', () => {
          const done = removedSessions(sessions.filter(removeAlone), order)
          if (done !== undefined) writeOrder(done.order, [])
          return done
        }),
      ),

    removeSession: (session, order, sequences) =>
      db.run(() =>
        db.transaction('power', () => {
          if (!remove(session)) return false
          writeOrder(order, sequences)
          return true
        }),
      ),
  }
}
