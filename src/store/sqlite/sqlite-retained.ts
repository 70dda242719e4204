// Retained turns in SQLite: one per session, with a total limit in bytes; the least recently written are dropped first.

import { openValue, sealValue } from '../seal.ts'
import type { RetainedPrompt, Store } from '../store.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, retainedPlace, storedValueAt } from './sqlite-rows.ts'

/** The methods of the store for retained turns. */
export function retainedIn({ db, memory, sealer }: SqliteCore): Pick<Store, 'putRetained' | 'getRetained'> {
  const sql = db.prepareAll({
    get: 'SELECT key_id, turn FROM retained WHERE tenant = ? AND session_id = ?',
    drop: 'DELETE FROM retained WHERE tenant = ? AND session_id = ?',
    // Nothing is stored for a session that was ended meanwhile.
    add: `INSERT INTO retained (tenant, session_id, bytes, key_id, turn) SELECT ?1, ?2, ?3, ?4, ?5
      WHERE ?6 OR EXISTS (SELECT 1 FROM sessions WHERE tenant = ?1 AND id = ?2)`,
    total: "SELECT total FROM totals WHERE of = 'retained_bytes'",
    oldest: 'SELECT seq FROM retained ORDER BY seq LIMIT 1',
    dropOldest: 'DELETE FROM retained WHERE seq = ?',
  })

  function dropOver(maxBytes: number): void {
    for (;;) {
      const total = sql.total.get()
      if (total === undefined || numberAt(total, 0) <= maxBytes) return
      const oldest = sql.oldest.get()
      if (oldest === undefined) return
      sql.dropOldest.run(numberAt(oldest, 0))
    }
  }

  return {
    putRetained: (tenant, sessionId, turn, maxBytes) =>
      db.run(() => {
        const plain = Buffer.from(JSON.stringify(turn))
        const stored = sealValue(sealer, plain, retainedPlace(tenant, sessionId))
        db.transaction('crash', () => {
          sql.drop.run(tenant, sessionId)
          const isFirst = Number(memory.firstTurns.get(tenant, sessionId) !== undefined)
          sql.add.run(tenant, sessionId, plain.length, stored.keyId, stored.bytes, isFirst)
          dropOver(maxBytes)
        })
      }),

    getRetained: (tenant, sessionId) =>
      db.run(() => {
        const row = sql.get.get(tenant, sessionId)
        if (row === undefined) return undefined
        return jsonInBytes<RetainedPrompt>(openValue(sealer, storedValueAt(row, 0), retainedPlace(tenant, sessionId)))
      }),
  }
}
