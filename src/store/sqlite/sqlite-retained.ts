// Retained turns in SQLite: one per session, limited in bytes in all and fair by tenant, by the rules of base/fair-map.ts.

import { IDLE_MS, LARGE_SHARE } from '../retained-shares.ts'
import { openValue, sealValue } from '../seal.ts'
import type { Store } from '../store.ts'
import type { RetainedPrompt } from '../store-values.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, type Row, retainedPlace, storedValueAt, textAt } from './sqlite-rows.ts'
import { sharesOf } from './sqlite-shares.ts'

/** The methods of the store for retained turns. */
export function retainedIn({ db, memory, sealer, now }: SqliteCore): Pick<Store, 'putRetained' | 'getRetained'> {
  const sql = db.prepareAll({
    get: 'SELECT key_id, turn FROM retained WHERE tenant = ? AND session_id = ?',
    drop: 'DELETE FROM retained WHERE tenant = ? AND session_id = ?',
    // Nothing is stored for a session that was ended meanwhile.
    add: `INSERT INTO retained (tenant, session_id, bytes, key_id, turn) SELECT ?1, ?2, ?3, ?4, ?5
      WHERE ?6 OR EXISTS (SELECT 1 FROM sessions WHERE tenant = ?1 AND id = ?2)`,
    gain: `INSERT INTO shares (of, tenant, amount, gained_at) VALUES ('retained_bytes', ?, ?, ?)
      ON CONFLICT (of, tenant) DO UPDATE SET amount = amount + excluded.amount, gained_at = excluded.gained_at`,
    own: "SELECT amount FROM shares WHERE of = 'retained_bytes' AND tenant = ?",
    beyond: "SELECT total(amount - ?1) FROM shares WHERE of = 'retained_bytes' AND amount > ?1 AND tenant <> ?2",
    idle: "SELECT tenant FROM shares WHERE of = 'retained_bytes' AND gained_at < ? ORDER BY gained_at LIMIT 1",
    dropOldest: 'DELETE FROM retained WHERE seq = (SELECT min(seq) FROM retained WHERE tenant = ?)',
  })
  const shares = sharesOf(db, 'retained_bytes')
  const numberOf = (row: Row | undefined) => (row === undefined ? 0 : numberAt(row, 0))

  /** Whether a turn is small, or fits if every other tenant keeps at most as much as it takes. */
  function fits(tenant: string, bytes: number, maxBytes: number): boolean {
    const free = maxBytes - shares.total()
    if (bytes <= free || bytes <= LARGE_SHARE * maxBytes) return true
    const missing = bytes - free - numberOf(sql.own.get(tenant))
    return bytes <= maxBytes && numberOf(sql.beyond.get(bytes, tenant)) >= missing
  }

  /** Drops the oldest turns of idle tenants, then of the one with the most, but never the turn of `bytes` that `tenant` has just stored. */
  function dropOver(tenant: string, bytes: number, maxBytes: number): void {
    while (shares.total() > maxBytes) {
      const idle = sql.idle.get(now() - IDLE_MS)
      const only = numberOf(sql.own.get(tenant)) === bytes ? tenant : undefined
      const from = idle === undefined ? shares.largest(only)?.tenant : textAt(idle, 0)
      if (from === undefined || sql.dropOldest.run(from) === 0) return
    }
  }

  return {
    putRetained: (tenant, sessionId, turn, maxBytes) =>
      db.run(() => {
        const plain = Buffer.from(JSON.stringify(turn))
        const stored = sealValue(sealer, plain, retainedPlace(tenant, sessionId))
        db.transaction('crash', () => {
          sql.drop.run(tenant, sessionId)
          if (!fits(tenant, plain.length, maxBytes)) return
          const isFirst = Number(memory.firstTurns.get(tenant, sessionId) !== undefined)
          const { keyId, bytes } = stored
          if (sql.add.run(tenant, sessionId, plain.length, keyId, bytes, isFirst) === 0) return
          sql.gain.run(tenant, plain.length, now())
          dropOver(tenant, plain.length, maxBytes)
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
