// Ended logins to the dashboard in SQLite. They survive a restart, as the cookies do.

import type { LoginMethods } from '../store.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt } from './sqlite-rows.ts'

/** The id of the row that ends all of an owner's logins up to its `until`. */
const ALL = ''

/** The login methods of the store. */
export function loginsIn({ db }: SqliteCore): LoginMethods {
  const sql = db.prepareAll({
    dropExpired: 'DELETE FROM ended_logins WHERE until <= ?',
    put: 'INSERT OR REPLACE INTO ended_logins (owner, id, until) VALUES (?, ?, ?)',
    // The newest of those beyond the bound.
    surplus: `SELECT until FROM ended_logins WHERE owner = ? AND id <> '' ORDER BY until DESC LIMIT 1 OFFSET ?`,
    dropUpTo: 'DELETE FROM ended_logins WHERE owner = ? AND until <= ?',
    find: `SELECT 1 FROM ended_logins WHERE (owner = ? AND id = ?) OR (owner = ? AND id = '' AND until >= ?) LIMIT 1`,
  })
  return {
    endLogin: ({ owner, id, until }, keep, now) =>
      db.run(() =>
        db.transaction('power', () => {
          sql.dropExpired.run(now)
          if (until <= now) return
          sql.put.run(owner, id, until)
          const surplus = sql.surplus.get(owner, keep)
          if (surplus === undefined) return
          const horizon = numberAt(surplus, 0)
          sql.dropUpTo.run(owner, horizon)
          sql.put.run(owner, ALL, horizon)
        }),
      ),

    isLoginEnded: ({ owner, id, until }) => db.run(() => sql.find.get(owner, id, owner, until) !== undefined),
  }
}
