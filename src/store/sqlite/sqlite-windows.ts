// Windows in SQLite: names, changes, content, and their end. sqlite-window-list.ts lists them.

import type { Prompt, WindowContent, WindowRecord } from '../../base/records.ts'
import { checkLimit, positionIn, toPage } from '../page.ts'
import { openValue, sealValue } from '../seal.ts'
import type { Store } from '../store.ts'
import type { ReserveOutcome, WindowLimits } from '../store-values.ts'
import { jsonInBytes, tokenIdsIn, tokenIdsToBytes } from '../stored-values.ts'
import { isFree, sortedBy } from '../window-rows.ts'
import { end, orderWriter, retiredQuery, type SqliteCore } from './sqlite-core.ts'
import type { Bindable } from './sqlite-database.ts'
import { holdingIn } from './sqlite-held.ts'
import {
  numberAt,
  promptPlace,
  type Row,
  storedValueAt,
  tokenIdsPlace,
  windowAt,
  windowToColumns,
} from './sqlite-rows.ts'

type Windows = Pick<
  Store,
  'reserveWindow' | 'changeWindow' | 'getWindow' | 'getWindowContent' | 'listForRepair' | 'removeWindow'
>

/** The window methods of the store, except the list. */
export function windowsIn(core: SqliteCore): Windows {
  const { db, sealer } = core
  const isRetired = retiredQuery(core)
  const writeOrder = orderWriter(core)
  const holding = holdingIn(core)
  const sql = db.prepareAll({
    find: 'SELECT record, key_id, words, seq FROM windows WHERE tenant = ? AND name = ?',
    add: `INSERT INTO windows (tenant, name, id, created_at, lineage, session_id, parent, model,
        state, pin, tokens, bytes, used_at, record, key_id, words)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    seqOf: 'SELECT seq FROM windows WHERE tenant = ? AND name = ?',
    put: `UPDATE windows SET state = ?, pin = ?, tokens = ?, bytes = ?, used_at = ?, record = ?, key_id = ?, words = ?
      WHERE seq = ?`,
    drop: 'DELETE FROM windows WHERE seq = ?',
    addTag: 'INSERT OR IGNORE INTO window_tags (tenant, tag, window) VALUES (?, ?, ?)',
    dropTags: 'DELETE FROM window_tags WHERE window = ?',
    addPrompt: 'INSERT INTO window_prompts (window, key_id, prompt) VALUES (?, ?, ?)',
    putTokens: `INSERT INTO window_tokens (window, key_id, token_ids) VALUES (?, ?, ?)
      ON CONFLICT (window) DO UPDATE SET key_id = excluded.key_id, token_ids = excluded.token_ids`,
    getContent: `SELECT p.key_id, p.prompt, t.key_id, t.token_ids FROM windows
      JOIN window_prompts AS p ON p.window = seq JOIN window_tokens AS t ON t.window = seq
      WHERE tenant = ? AND name = ? AND id = ?`,
    usage: 'SELECT windows, window_bytes FROM usage WHERE tenant = ?',
    forRepair: `SELECT record, key_id, words, seq FROM windows
      WHERE (created_at, seq) > (?, ?) AND (pin IN ('pinning', 'pinned') OR state IN (?, ?, ?))
      ORDER BY created_at, seq LIMIT ?`,
  })

  /** The columns of a window that can change. */
  function changing(window: WindowRecord): readonly Bindable[] {
    const { record, texts } = windowToColumns(window, sealer)
    const { state, pin, bytes } = window
    const [tokens, usedAt] = [sortedBy.tokens(window), sortedBy.thawed(window)]
    return [state, pin, tokens, bytes, usedAt, record, texts?.keyId ?? 0, texts?.bytes ?? null]
  }

  function putTags({ tenant, tags }: WindowRecord, seq: number): void {
    sql.dropTags.run(seq)
    for (const tag of tags) sql.addTag.run(tenant, tag, seq)
  }

  function putTokens({ tenant, name, id }: WindowRecord, tokenIds: Uint32Array, seq: number): void {
    const stored = sealValue(sealer, tokenIdsToBytes(tokenIds), tokenIdsPlace(tenant, name, id))
    sql.putTokens.run(seq, stored.keyId, stored.bytes)
  }

  function add(record: WindowRecord, content: WindowContent): void {
    const { tenant, name, id, createdAt, lineage, sessionId = null, parent = null, model } = record
    sql.add.run(tenant, name, id, createdAt, lineage, sessionId, parent, model, ...changing(record))
    const added = sql.seqOf.get(tenant, name)
    if (added === undefined) throw new Error('the window that was just written is missing')
    const seq = numberAt(added, 0)
    putTags(record, seq)
    const prompt = sealValue(sealer, Buffer.from(JSON.stringify(content.prompt)), promptPlace(tenant, name, id))
    sql.addPrompt.run(seq, prompt.keyId, prompt.bytes)
    putTokens(record, content.tokenIds, seq)
  }

  function overLimit(record: WindowRecord, replaced: WindowRecord | undefined, limits: WindowLimits): ReserveOutcome {
    const usage = sql.usage.get(record.tenant)
    const windows = usage === undefined ? 0 : numberAt(usage, 0)
    const bytes = usage === undefined ? 0 : numberAt(usage, 1)
    const [lessWindows, lessBytes] = replaced === undefined ? [0, 0] : [1, replaced.bytes]
    if (windows - lessWindows + 1 > (limits.maxWindows ?? Number.POSITIVE_INFINITY)) return 'too_many'
    if (bytes - lessBytes + record.bytes > (limits.maxBytes ?? Number.POSITIVE_INFINITY)) return 'too_large'
    return 'stored'
  }

  function read(tenant: string, name: string): { readonly window: WindowRecord; readonly seq: number } | undefined {
    const row = sql.find.get(tenant, name)
    return row === undefined ? undefined : { window: windowAt(row, 0, sealer), seq: numberAt(row, 3) }
  }

  return {
    reserveWindow: (record, content, limits = {}) =>
      db.run(() =>
        db.transaction('power', (): ReserveOutcome => {
          const held = read(record.tenant, record.name)
          if (held !== undefined && !isFree(held.window)) return 'taken'
          if (isRetired(record.tenant, record.lineage)) return 'retired'
          const outcome = overLimit(record, held?.window, limits)
          if (outcome !== 'stored') return outcome
          if (held !== undefined) sql.drop.run(held.seq) // deletes its content and tags too: ON DELETE CASCADE
          add(record, content)
          return 'stored'
        }),
      ),

    changeWindow(tenant, name, id, { tokenIds, ...fields }) {
      return db.run(() =>
        db.transaction('power', () => {
          const held = read(tenant, name)
          if (held?.window.id !== id) return false
          const next = { ...held.window, ...fields } as WindowRecord
          sql.put.run(...changing(next), held.seq)
          if (fields.tags !== undefined) putTags(next, held.seq)
          if (tokenIds !== undefined) putTokens(next, tokenIds, held.seq)
          return true
        }),
      )
    },

    getWindow: (tenant, name) => db.run(() => read(tenant, name)?.window),

    getWindowContent: (tenant, name, id) =>
      db.run(() => {
        const row = sql.getContent.get(tenant, name, id)
        if (row === undefined) return holding.content(tenant, name, id)
        return {
          prompt: jsonInBytes<Prompt>(openValue(sealer, storedValueAt(row, 0), promptPlace(tenant, name, id))),
          tokenIds: tokenIdsIn(openValue(sealer, storedValueAt(row, 2), tokenIdsPlace(tenant, name, id))),
        }
      }),

    async listForRepair(states, page) {
      checkLimit(page.limit)
      const [at, seq] = positionIn('repair', page, 'number', 'number') ?? [-end, 0]
      const [first = null, second = null, third = null] = new Set(states) // three states; null matches none
      return db.run(() => {
        const rows = sql.forRepair.all(at, seq, first, second, third, page.limit + 1).map((row: Row) => ({
          window: windowAt(row, 0, sealer),
          seq: numberAt(row, 3),
        }))
        return toPage(
          'repair',
          rows,
          page.limit,
          (row) => row.window,
          (row) => [row.window.createdAt, row.seq],
        )
      })
    },

    removeWindow: ({ tenant, name, id }, order, sequences) =>
      db.run(() =>
        db.transaction('power', () => {
          const held = read(tenant, name)
          if (held?.window.id !== id) return undefined
          const written = holding.holdIfNeeded(held.seq, id, order)
          sql.drop.run(held.seq)
          writeOrder(written, sequences)
          return written
        }),
      ),
  }
}
