// Events in SQLite: one row each, limited in total and fair by tenant. An id is the time in microseconds, or one more than the last if the
// clock has not advanced.

import type { CwmEvent } from '../../base/events.ts'
import { checkLimit } from '../page.ts'
import type { Store } from '../store.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, recordAt } from './sqlite-rows.ts'
import { sharesOf } from './sqlite-shares.ts'

/** The event methods of the store. */
export function eventsIn({ db, now }: SqliteCore): Pick<Store, 'appendEvent' | 'eventIdNow' | 'listEvents'> {
  const sql = db.prepareAll({
    add: 'INSERT INTO events (seq, tenant, event) VALUES (?, ?, ?)',
    newest: 'SELECT coalesce(max(seq), 0) FROM events',
    total: 'SELECT total FROM totals WHERE of = ?',
    lastOfOldest: 'SELECT seq FROM events WHERE tenant = ? ORDER BY seq LIMIT 1 OFFSET ? - 1',
    drop: 'DELETE FROM events WHERE tenant = ? AND seq <= ?',
    raise: 'UPDATE totals SET total = max(total, ?) WHERE of = ?',
    dropped: "SELECT dropped FROM shares WHERE of = 'events' AND tenant = ?",
    setDropped: "UPDATE shares SET dropped = ? WHERE of = 'events' AND tenant = ?",
    list: 'SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?',
    listOf: 'SELECT seq, event FROM events WHERE seq > ? AND tenant = ? ORDER BY seq LIMIT ?',
  })
  const numberOf = (row: readonly unknown[] | undefined) => (row === undefined ? 0 : numberAt(row, 0))
  const shares = sharesOf(db, 'events')
  /** Everything after it is present, of all tenants. */
  const from = () => numberOf(sql.total.get('events_from'))
  /** The same for one tenant. */
  const fromOf = (tenant: string) => numberOf(sql.dropped.get(tenant) ?? sql.total.get('events_from_rest'))
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
          shares.trim(keep, ({ tenant, amount }, count) => {
            const end = numberOf(sql.lastOfOldest.get(tenant, count))
            sql.raise.run(end, 'events_from')
            // The row of a tenant without events is deleted, and with it what was dropped of it.
            if (count === amount) sql.raise.run(end, 'events_from_rest')
            else sql.setDropped.run(end, tenant)
            sql.drop.run(tenant, end)
          })
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
        return {
          events,
          missed: !ours || asked < (tenant === undefined ? from() : fromOf(tenant)),
          cursor: cursor ?? String(Math.max(start, last())),
        }
      })
    },
  }
}
