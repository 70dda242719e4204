// Sessions in Redis: get-or-create, turns, heads, and their end. redis-traces.ts stores what a turn leaves beside its session.

import { CwmError } from '../../base/errors.ts'
import type { SessionRecord } from '../../base/records.ts'
import { checkLimit, placeIn, toPageAt } from '../page.ts'
import { afterTurn, isLasting, removedSessions } from '../session-rows.ts'
import type { SessionMethods } from '../store.ts'
import type { SaveOutcome } from '../store-values.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { RedisChanges } from './redis-changes.ts'
import { writeOrder } from './redis-deletions.ts'
import { enterBase, leaveBase } from './redis-held.ts'
import { dropTurn, forgetTurn } from './redis-retained.ts'
import type { Entry, RedisRows } from './redis-rows.ts'
import { dropTraces, writeTraces } from './redis-traces.ts'
import type { Transaction } from './redis-transaction.ts'
import { toJson } from './redis-values.ts'

/** A transaction of Redis holds up everybody, for each of them about ten commands. */
const REMOVED_AT_ONCE = 50

/** A session as read, and its bytes, by which a later change is detected. */
interface Held {
  readonly raw: Buffer | null
  readonly session: SessionRecord | undefined
}

/** The session methods of the store. */
export function sessionsIn(rows: RedisRows, changes: RedisChanges): SessionMethods {
  async function read(tenant: string, id: string): Promise<Held> {
    const raw = await rows.get(rows.keysOf(tenant).session(id))
    return { raw, session: raw === null ? undefined : jsonInBytes<SessionRecord>(raw) }
  }

  /** Adds the replacement of the read session by `next`. If its base window or its lineage is gone, nothing may be committed. */
  async function put(tx: Transaction, held: Held, next: SessionRecord): Promise<'saved' | 'no_base' | 'gone'> {
    const keys = rows.keysOf(next.tenant)
    if (held.session?.baseWindowId !== next.baseWindowId) {
      if (!(await enterBase(rows, tx, next))) return 'no_base'
      if (held.session !== undefined) await leaveBase(rows, tx, held.session)
    }
    if (held.session?.lineage !== next.lineage) {
      if ((await rows.get(keys.retired(next.lineage))) !== null) return 'gone'
      tx.expectAbsent(keys.retired(next.lineage))
      if (held.session !== undefined) tx.write('SREM', keys.sessionsOf(held.session.lineage), next.id)
      tx.write('SADD', keys.sessionsOf(next.lineage), next.id)
    }
    tx.expect(keys.session(next.id), held.raw)
    tx.write('SET', keys.session(next.id), toJson(next))
    tx.write('ZADD', keys.sessions, next.lastTurnAt, next.id)
    tx.write('ZADD', keys.idle(isLasting(next)), next.lastTurnAt, next.id)
    if (held.session !== undefined && isLasting(held.session) !== isLasting(next)) {
      tx.write('ZREM', keys.idle(isLasting(held.session)), next.id)
    }
    return 'saved'
  }

  /** Adds its removal. Returns false, without adding anything, if it is gone, has another lineage now, or has had a turn since. */
  async function remove(tx: Transaction, { tenant, id, lineage, lastTurnAt }: SessionRecord): Promise<boolean> {
    const keys = rows.keysOf(tenant)
    const { raw, session } = await read(tenant, id)
    if (session === undefined || session.lineage !== lineage || session.lastTurnAt > lastTurnAt) return false
    tx.expect(keys.session(id), raw)
    tx.write('DEL', keys.session(id))
    tx.write('ZREM', keys.sessions, id)
    // An older version lists a session with a base window, but without a turn, as a lasting one.
    for (const lasting of [true, false]) tx.write('ZREM', keys.idle(lasting), id)
    tx.write('SREM', keys.sessionsOf(lineage), id)
    await leaveBase(rows, tx, session)
    await dropTraces(rows, tx, tenant, id)
    dropTurn(tx, keys, id)
    return true
  }

  /** Returns false also if its lineage has other holders. */
  async function removeAlone(tx: Transaction, session: SessionRecord): Promise<boolean> {
    const keys = rows.keysOf(session.tenant)
    const others = [keys.windowsOf(session.lineage), keys.isShared(session.lineage)]
    if ((await rows.number('SCARD', keys.sessionsOf(session.lineage))) > 1) return false
    if ((await rows.number('EXISTS', ...others)) > 0) return false
    for (const key of others) tx.expectAbsent(key)
    return await remove(tx, session)
  }

  async function forget({ tenant, id }: SessionRecord): Promise<void> {
    changes.tell({ kind: 'session', tenant, id })
    await forgetTurn(rows, tenant, id)
  }

  async function readEntries(tenant: string, entries: readonly Entry[]): Promise<SessionRecord[]> {
    const keys = rows.keysOf(tenant)
    const stored = await rows.getAll(entries.map(({ name }) => keys.session(name)))
    return stored.flatMap((raw) => (raw === null ? [] : [jsonInBytes<SessionRecord>(raw)]))
  }

  return {
    getOrCreateSession: (fresh) =>
      rows.atomically(fresh.tenant, async (tx) => {
        const held = await read(fresh.tenant, fresh.id)
        if (held.session !== undefined) return held.session
        if ((await put(tx, held, fresh)) === 'saved') return fresh
        throw new CwmError('BUSY', 'the session has just ended: send the request again')
      }),

    getSession: async (tenant, id) => (await read(tenant, id)).session,

    async listSessions(tenant, page) {
      checkLimit(page.limit)
      const place = placeIn('sessions', page, 'number', 'string')
      const after = place.position && { score: place.position[0], name: place.position[1] }
      const order = place.isBackward ? 'asc' : 'desc'
      const entries = await rows.page(rows.keysOf(tenant).sessions, { order, limit: page.limit, after })
      const names = toPageAt(
        'sessions',
        place,
        entries,
        page.limit,
        (entry) => entry,
        (entry) => [entry.score, entry.name],
      )
      return { ...names, items: await readEntries(tenant, names.items) }
    },

    async saveTurn(session, trace, isNew) {
      const { tenant, id } = session
      if (trace.boundaries.some((boundary) => boundary.tenant !== tenant || boundary.sessionId !== id)) {
        throw new CwmError('INTERNAL', "a turn's boundaries must belong to its own session")
      }
      const outcome = await rows.atomically(tenant, async (tx): Promise<SaveOutcome> => {
        const held = await read(tenant, id)
        if (held.session === undefined && !isNew) return 'gone'
        if (held.session !== undefined && held.session.head !== session.head) return 'moved'
        // Ended, and restarted under the same name.
        if (held.session !== undefined && held.session.lineage !== session.lineage) return 'gone'
        const next = held.session === undefined ? session : afterTurn(held.session, session)
        const outcome_ = await put(tx, held, next)
        if (outcome_ === 'saved') await writeTraces(rows, tx, session, trace)
        return outcome_
      })
      // A new session is unknown to all other proxies.
      if (outcome === 'saved' && !isNew) changes.tell({ kind: 'session', tenant, id })
      return outcome
    },

    async bindSession(session, isNew) {
      const outcome = await rows.atomically(session.tenant, async (tx): Promise<SaveOutcome> => {
        const held = await read(session.tenant, session.id)
        if (held.session === undefined && !isNew) return 'gone'
        if (held.session !== undefined && held.session.head !== session.head - 1) return 'moved'
        return await put(tx, held, session)
      })
      if (outcome === 'saved') changes.tell({ kind: 'session', tenant: session.tenant, id: session.id })
      return outcome
    },

    async listIdle(before, lasting, atMost, after = -1) {
      const entries = await rows.ofAllTenants(async (tenant) => {
        const found = await rows.texts(
          'ZRANGE',
          rows.keysOf(tenant).idle(lasting),
          `(${after}`,
          `(${before}`,
          'BYSCORE',
          'LIMIT',
          0,
          atMost,
          'WITHSCORES',
        )
        return Array.from({ length: found.length / 2 }, (_, n) => {
          return { tenant, name: found[2 * n] ?? '', score: Number(found[2 * n + 1]) }
        })
      })
      const oldest = entries.sort((a, b) => a.score - b.score).slice(0, atMost)
      const sessions = await Promise.all(oldest.map((entry) => readEntries(entry.tenant, [entry])))
      return sessions.flat()
    },

    async removeSession(session, order, sequences) {
      const removed = await rows.atomically(
        session.tenant,
        async (tx) => {
          if (!(await remove(tx, session))) return false
          writeOrder(rows, tx, order, sequences)
          return true
        },
        rows.contents,
      )
      if (removed) await forget(session)
      return removed
    },

    async removeSessions(sessions, order) {
      const some = sessions.slice(0, REMOVED_AT_ONCE)
      const done = await rows.atomically(
        order.tenant,
        async (tx) => {
          const outcomes = await Promise.all(some.map((session) => removeAlone(tx, session)))
          const found = removedSessions(
            some.filter((_, n) => outcomes[n]),
            order,
          )
          if (found !== undefined) writeOrder(rows, tx, found.order, [])
          return found
        },
        rows.contents,
      )
      await Promise.all((done?.removed ?? []).map(forget))
      return done
    },
  }
}
