// Events in SQLite: one row each. An id is the time in microseconds, or one more than the last if the clock has not advanced.

import type { CwmEvent } from '../../base/events.ts'
import { checkLimit } from '../page.ts'
import type { Store } from '../store.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, recordAt } from './sqlite-rows.ts'

/** The event methods of the store. */
export function eventsIn({ db, now }: SqliteCore): Pick<Store, 'appendEvent' | 'eventIdNow' | 'listEvents'> {
  const sql = db.prepareAll({
    add: 'INSERT INTO events (seq, tenant, event) VALUES (?, ?, ?)',
    newest: 'SELECT coalesce(max(seq), 0) FROM events',
    total: 'SELECT total FROM totals WHERE of = ?',
    lastOfOldest: 'SELECT seq FROM events ORDER BY seq LIMIT 1 OFFSET ? - 1',
    drop: 'DELETE FROM events WHERE seq <= ?',
    setFrom: "UPDATE totals SET total = ? WHERE of = 'events_from'",
    list: 'SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?',
    listOf: 'SELECT seq, event FROM events WHERE seq > ? AND tenant = ? ORDER BY seq LIMIT ?',
  })
  const numberOf = (row: readonly unknown[] | undefined) => (row === undefined ? 0 : numberAt(row, 0))
  const from = () => numberOf(sql.total.get('events_from'))
  /** The highest assigned id. After a clock was set back or a tenant was forgotten, no event may get a lower or equal one. */
  let given = 0
  const last = () => Math.max(numberOf(sql.newest.get()), from(), given)

  return {
    appendEvent: (event, keep) =>
      db.run(() =>
        db.transaction('crash', () => {
          const seq = Math.max(last() + 1, now() * 1000)
          given = seq
          sql.add.run(seq, event.tenant, JSON.stringify(event))
          const tooMany = numberOf(sql.total.get('events')) - keep
          if (tooMany > 0) {
            const end = numberOf(sql.lastOfOldest.get(tooMany))
            sql.drop.run(end)
            sql.setFrom.run(end)
          }
          return String(seq)
        }),
      ),

    eventIdNow: () =>
      db.run(() => {
        given = Math.max(last(), now() * 1000 - 1)
        return String(given)
      }),

    async listEvents(tenant, after, atMost) {
      checkLimit(atMost)
      return db.run(() => {
        const asked = /^\d{1,16}$/.test(after) ? Number(after) : Number.POSITIVE_INFINITY
        const ours = asked <= Math.max(last(), now() * 1000)
        const start = ours ? asked : 0
        const rows = tenant === undefined ? sql.list.all(start, atMost) : sql.listOf.all(start, tenant, atMost)
        const events = rows.map((row) => ({ ...recordAt<CwmEvent>(row, 1), id: String(numberAt(row, 0)) }))
        const cursor = events.length === atMost ? events.at(-1)?.id : undefined
        return { events, missed: !ours || asked < from(), cursor: cursor ?? String(Math.max(start, last())) }
      })
    },
  }
}
