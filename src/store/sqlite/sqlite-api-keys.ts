// API keys created by REST, in SQLite.

import type { KeyRecord } from '../../base/key-records.ts'
import type { KeyMethods } from '../key-methods.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, recordAt, textAt } from './sqlite-rows.ts'

/** The key methods of the store. They do not flush pending turns, because keys do not depend on them. */
export function apiKeysIn({ db }: SqliteCore): KeyMethods {
  const sql = db.prepareAll({
    named: 'SELECT 1 FROM api_keys WHERE tenant = ? AND name = ?',
    count: 'SELECT count(*) FROM api_keys WHERE tenant = ?',
    add: 'INSERT INTO api_keys (tenant, name, id, record) VALUES (?, ?, ?, ?)',
    find: 'SELECT record FROM api_keys WHERE id = ?',
    drop: 'DELETE FROM api_keys WHERE id = ?',
    list: 'SELECT record FROM api_keys WHERE tenant = ? ORDER BY name',
    revision: "SELECT total FROM totals WHERE of = 'api_keys_revision'",
    tenants: 'SELECT tenant, revision FROM api_key_tenants',
    mark: 'UPDATE api_keys SET used_at = ? WHERE id = ? AND coalesce(used_at, 0) < ?',
    usedAt: 'SELECT used_at FROM api_keys WHERE id = ? AND used_at IS NOT NULL',
  })
  const changed = keyRevisions(db)
  const countOf = (tenant: string) => {
    const row = sql.count.get(tenant)
    return row === undefined ? 0 : numberAt(row, 0)
  }

  return {
    addKey: (key, most) =>
      db.runBeside(() =>
        db.transaction('power', () => {
          const { tenant, name, id } = key
          if (sql.named.get(tenant, name) !== undefined) return 'taken'
          if (countOf(tenant) >= most) return 'too_many'
          sql.add.run(tenant, name, id, JSON.stringify(key))
          changed(tenant, true)
          return 'added'
        }),
      ),

    removeKey: (id) =>
      db.runBeside(() =>
        db.transaction('power', () => {
          const row = sql.find.get(id)
          if (row === undefined) return undefined
          const key = recordAt<KeyRecord>(row, 0)
          sql.drop.run(id)
          changed(key.tenant, countOf(key.tenant) > 0)
          return key
        }),
      ),

    listKeys: (tenant) => db.runBeside(() => sql.list.all(tenant).map((row) => recordAt<KeyRecord>(row, 0))),

    keysRevision: () =>
      db.runBeside(() => {
        const row = sql.revision.get()
        return row === undefined ? 0 : numberAt(row, 0)
      }),

    listKeyTenants: () =>
      db.runBeside(() => new Map(sql.tenants.all().map((row) => [textAt(row, 0), numberAt(row, 1)]))),

    markKeysUsed: (uses) =>
      db.runBeside(() =>
        db.transaction('crash', () => {
          for (const [id, at] of uses) sql.mark.run(at, id, at)
        }),
      ),

    keyUses: (ids) =>
      db.runBeside(() => {
        const uses = new Map<string, number>()
        for (const id of ids) {
          const row = sql.usedAt.get(id)
          if (row !== undefined) uses.set(id, numberAt(row, 0))
        }
        return uses
      }),
  }
}

/** Prepares a function that increases the revision after a change of a tenant's keys. `hasKeys`: it still has some. Only inside a transaction. */
export function keyRevisions(db: SqliteCore['db']): (tenant: string, hasKeys: boolean) => void {
  const sql = db.prepareAll({
    increase: "UPDATE totals SET total = total + 1 WHERE of = 'api_keys_revision'",
    put: `INSERT OR REPLACE INTO api_key_tenants (tenant, revision)
      SELECT ?, total FROM totals WHERE of = 'api_keys_revision'`,
    drop: 'DELETE FROM api_key_tenants WHERE tenant = ?',
  })
  return (tenant, hasKeys) => {
    sql.increase.run()
    if (hasKeys) sql.put.run(tenant)
    else sql.drop.run(tenant)
  }
}
