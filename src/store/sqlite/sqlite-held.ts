// Held windows in SQLite: the content of deleted windows that sessions are still based on. `sessions.base_window` is the id of a session's base
// window. Only bound sessions are in its index, and a turn does not change it.

import type { DeletionRecord } from '../../base/deletion-records.ts'
import type { Prompt, SessionRecord, WindowContent } from '../../base/records.ts'
import { openValue } from '../seal.ts'
import { MAX_NAMED_SESSIONS, releasedOrder } from '../session-rows.ts'
import type { HeldWindowMethods, Store } from '../store.ts'
import { jsonInBytes, tokenIdsIn } from '../stored-values.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, promptPlace, recordAt, storedValueAt, textAt, tokenIdsPlace, windowAt } from './sqlite-rows.ts'

/** For the transactions that bind and remove sessions, and remove windows. All but `content` only inside a transaction. */
export interface Holding {
  /** Whether the session's base window exists or is held; true if it has none. */
  hasBase(session: SessionRecord): boolean
  /** Call when a session is no longer based on that window. Releases it if it was the last one. */
  left(tenant: string, window: string | undefined): void
  /** Holds the window in row `seq` of `windows`, which is about to be dropped, if sessions are based on it. Returns the order to write. */
  holdIfNeeded(seq: number, window: string, order: DeletionRecord): DeletionRecord
  /** Releases all held windows of a tenant. */
  releaseAll(tenant: string): void
  content(tenant: string, name: string, window: string): WindowContent | undefined
}

/** Prepares a {@link Holding}. */
export function holdingIn({ db, sealer }: Pick<SqliteCore, 'db' | 'sealer'>): Holding {
  const sql = db.prepareAll({
    isBase: `SELECT EXISTS (SELECT 1 FROM windows WHERE tenant = ?1 AND name = ?2 AND id = ?3)
      OR EXISTS (SELECT 1 FROM held_windows WHERE tenant = ?1 AND id = ?3)`,
    isStoodOn: 'SELECT 1 FROM sessions WHERE tenant = ? AND base_window = ? LIMIT 1',
    hold: `INSERT INTO held_windows (tenant, id, deletion, bytes, key_id, record, words, prompt_key_id, prompt,
        tokens_key_id, token_ids)
      SELECT tenant, id, ?, bytes, w.key_id, record, words, p.key_id, prompt, t.key_id, token_ids FROM windows AS w
        JOIN window_prompts AS p ON p.window = seq JOIN window_tokens AS t ON t.window = seq WHERE seq = ?`,
    orderOf: `SELECT d.record, h.deletion FROM held_windows AS h
      LEFT JOIN deletions AS d ON d.tenant = h.tenant AND d.id = h.deletion WHERE h.tenant = ? AND h.id = ?`,
    all: 'SELECT id FROM held_windows WHERE tenant = ?',
    drop: 'DELETE FROM held_windows WHERE tenant = ? AND id = ?',
    putOrder: 'UPDATE deletions SET next_try_at = ?, record = ? WHERE tenant = ? AND id = ?',
    content: `SELECT prompt_key_id, prompt, tokens_key_id, token_ids FROM held_windows WHERE tenant = ? AND id = ?`,
  })

  function release(tenant: string, window: string): void {
    const row = sql.orderOf.get(tenant, window)
    if (row === undefined) return
    sql.drop.run(tenant, window)
    if (row[0] === null) return
    const order = releasedOrder(recordAt<DeletionRecord>(row, 0))
    sql.putOrder.run(order.nextTryAt, JSON.stringify(order), tenant, order.id)
  }

  return {
    hasBase: ({ tenant, baseWindow, baseWindowId }) =>
      baseWindowId === undefined || sql.isBase.get(tenant, baseWindow ?? '', baseWindowId)?.[0] === 1,

    left(tenant, window) {
      if (window !== undefined && sql.isStoodOn.get(tenant, window) === undefined) release(tenant, window)
    },

    holdIfNeeded(seq, window, order) {
      if (sql.isStoodOn.get(order.tenant, window) === undefined) return order
      return sql.hold.run(order.id, seq) === 0 ? order : { ...order, heldWindow: window }
    },

    releaseAll(tenant) {
      for (const row of sql.all.all(tenant)) release(tenant, textAt(row, 0))
    },

    content(tenant, name, window) {
      const row = sql.content.get(tenant, window)
      if (row === undefined) return undefined
      return {
        prompt: jsonInBytes<Prompt>(openValue(sealer, storedValueAt(row, 0), promptPlace(tenant, name, window))),
        tokenIds: tokenIdsIn(openValue(sealer, storedValueAt(row, 2), tokenIdsPlace(tenant, name, window))),
      }
    },
  }
}

/** The held-window methods of the store. */
export function heldWindowsIn(core: SqliteCore): HeldWindowMethods {
  const { db, sealer } = core
  const holding = holdingIn(core)
  const sql = db.prepareAll({
    find: 'SELECT record, key_id, words, deletion FROM held_windows WHERE tenant = ? AND id = ?',
    count: 'SELECT count(*) FROM sessions WHERE tenant = ? AND base_window = ?',
    first: 'SELECT id FROM sessions WHERE tenant = ? AND base_window = ? ORDER BY id LIMIT ?',
  })
  const sessionsOn: Store['sessionsOn'] = ({ tenant, id }) =>
    db.run(() => ({
      count: numberAt(sql.count.get(tenant, id) ?? [0], 0),
      sessions: sql.first.all(tenant, id, MAX_NAMED_SESSIONS).map((row) => textAt(row, 0)),
    }))

  return {
    getHeldWindow: (tenant, id) =>
      db.run(() => {
        const row = sql.find.get(tenant, id)
        return row === undefined ? undefined : { window: windowAt(row, 0, sealer), deletion: textAt(row, 3) }
      }),

    sessionsOn,
    // No other version writes this file.
    recountSessionsOn: sessionsOn,

    releaseWindow: (tenant, id) => db.run(() => db.transaction('power', () => holding.left(tenant, id))),
  }
}
