// The list of windows in SQLite: one statement per shape of query (which filters, which order), prepared when it is first asked for.

import type { WindowRecord } from '../base/records.ts'
import type { Page, Store, WindowQuery } from '../base/store.ts'
import { checkLimit, type Position, positionIn, toPage, windowList } from './page.ts'
import type { SqliteCore } from './sqlite-core.ts'
import type { Bindable, Query } from './sqlite-database.ts'
import { windowAt } from './sqlite-rows.ts'
import { usedAt } from './sqlite-windows.ts'

type Sort = NonNullable<WindowQuery['sort']>

const sorts: Readonly<Record<Sort, { readonly column: string; of(window: WindowRecord): string | number }>> = {
  created: { column: 'created_at', of: (window) => window.createdAt },
  name: { column: 'name', of: (window) => window.name },
  thawed: { column: 'used_at', of: usedAt },
  tokens: { column: 'tokens', of: (window) => window.receipt?.tokens ?? 0 },
}

const maxPrepared = 256

interface Condition {
  readonly sql: string
  readonly value: Bindable
}

/** The window list of the store. */
export function windowListIn({ db, sealer }: SqliteCore): Pick<Store, 'listWindows'> {
  const prepared = new Map<string, Query>()

  function statement(sql: string): Query {
    const known = prepared.get(sql)
    if (known !== undefined) return known
    if (prepared.size >= maxPrepared) prepared.clear()
    const query = db.prepare(sql)
    prepared.set(sql, query)
    return query
  }

  return {
    async listWindows(tenant, query): Promise<Page<WindowRecord>> {
      const { limit, sort = 'created', order = 'desc' } = query
      checkLimit(limit)
      const list = windowList(query)
      const position = positionIn(list, query, sort === 'name' ? 'string' : 'number', 'string')
      const { column, of } = sorts[sort]
      const conditions = [{ sql: 'tenant = ?', value: tenant }, ...filtersOf(query)]
      const after = position === undefined ? '' : ` AND (${column}, name) ${order === 'desc' ? '<' : '>'} (?, ?)`
      const text = `SELECT record, key_id, words FROM windows
        WHERE ${conditions.map(({ sql }) => sql).join(' AND ')}${after}
        ORDER BY ${column} ${order}, name ${order} LIMIT ?`
      const values: Bindable[] = [...conditions.map(({ value }) => value), ...(position ?? []), limit + 1]
      return db.run(() => {
        const rows = statement(text)
          .all(...values)
          .map((row) => windowAt(row, 0, sealer))
        return toPage(
          list,
          rows,
          limit,
          (window) => window,
          (window): Position => [of(window), window.name],
        )
      })
    },
  }
}

function filtersOf(query: WindowQuery): readonly Condition[] {
  const { tags = [], model, state, pin, sessionId, parent, text, createdFrom, createdBefore } = query
  const all: readonly (readonly [sql: string, value: Bindable | undefined])[] = [
    ['model = ?', model],
    ['state = ?', state],
    ['pin = ?', pin],
    ['session_id = ?', sessionId],
    ['parent = ?', parent],
    ['instr(lower(name), lower(?)) > 0', text],
    ['created_at >= ?', createdFrom],
    ['created_at < ?', createdBefore],
  ]
  const given = all.flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, value }]))
  const tagged = tags.map((tag) => ({
    sql: `EXISTS (SELECT 1 FROM window_tags AS t WHERE t.tenant = windows.tenant AND t.tag = ? AND t.window = seq)`,
    value: tag,
  }))
  return [...given, ...tagged]
}
