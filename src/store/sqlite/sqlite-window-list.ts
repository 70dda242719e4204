// The list of windows in SQLite. This code chooses the index, because SQLite has no counts: if a tag, a session or a parent has few
// windows, these are read and sorted; otherwise the list is walked in its order until the page is full.

import type { WindowRecord } from '../../base/records.ts'
import { checkLimit, type Position, positionIn, toPage, windowList } from '../page.ts'
import type { Store } from '../store.ts'
import type { Page, WindowQuery } from '../store-values.ts'
import { sortedBy } from '../window-rows.ts'
import type { SqliteCore } from './sqlite-core.ts'
import type { Bindable, Query } from './sqlite-database.ts'
import { numberAt, windowAt } from './sqlite-rows.ts'

type Sort = NonNullable<WindowQuery['sort']>

const sorts: Readonly<Record<Sort, { readonly column: string; of(window: WindowRecord): string | number }>> = {
  created: { column: 'created_at', of: sortedBy.created },
  name: { column: 'name', of: (window) => window.name },
  thawed: { column: 'used_at', of: sortedBy.thawed },
  tokens: { column: 'tokens', of: sortedBy.tokens },
}

/** With 10,000 windows, reading and sorting this many takes as long as walking until 100 of them are found. */
const few = 500
/** Prepared statements to keep, one per form of query. */
const maxPrepared = 256

interface Condition {
  readonly sql: string
  readonly value: Bindable
}

/** A condition with an index. `from`: what to select from; its parameters are the tenant and `value`. */
interface Finder extends Condition {
  readonly count: string
  readonly from: string
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

  /** The condition with the fewest windows, if these are few. */
  function bestOf(finders: readonly Finder[], tenant: string): Finder | undefined {
    let best: Finder | undefined
    let least = few
    for (const finder of finders) {
      const row = statement(finder.count).get(tenant, finder.value, least + 1)
      const count = row === undefined ? 0 : numberAt(row, 0)
      if (count <= least) [best, least] = [finder, count]
    }
    return best
  }

  return {
    async listWindows(tenant, query): Promise<Page<WindowRecord>> {
      const { limit, sort = 'created', order = 'desc' } = query
      checkLimit(limit)
      const list = windowList(query)
      const position = positionIn(list, query, sort === 'name' ? 'string' : 'number', 'string')
      const { column, of } = sorts[sort]
      const finders = findersOf(query)
      return db.run(() => {
        const best = bestOf(finders, tenant)
        const conditions = [...finders.filter((finder) => finder !== best), ...filtersOf(query)]
        const after = { sql: `(${column}, name) ${order === 'desc' ? '<' : '>'} (?, ?)`, values: position ?? [] }
        const where = [...conditions.map(({ sql }) => sql), ...(position === undefined ? [] : [after.sql])]
        const text = `SELECT record, key_id, words
          FROM ${best?.from ?? `windows INDEXED BY windows_by_${sort} WHERE windows.tenant = ?`}
          ${where.map((sql) => `AND ${sql}`).join(' ')}
          ORDER BY ${column} ${order}, name ${order} LIMIT ?`
        const begin = best === undefined ? [tenant] : [tenant, best.value]
        const values = [...begin, ...conditions.map(({ value }) => value), ...after.values, limit + 1]
        const rows = statement(text)
          .all(...values)
          .map((row) => windowAt(row, 0, sealer))
        const positionOf = (window: WindowRecord): Position => [of(window), window.name]
        return toPage(list, rows, limit, (window) => window, positionOf)
      })
    },
  }
}

function findersOf({ tags = [], sessionId, parent }: WindowQuery): readonly Finder[] {
  return [
    ...[...new Set(tags)].map((value) => ({ ...byTag, value })),
    ...(sessionId === undefined ? [] : [{ ...byColumn('session_id', 'windows_of_session'), value: sessionId }]),
    ...(parent === undefined ? [] : [{ ...byColumn('parent', 'windows_of_parent'), value: parent }]),
  ]
}

const byTag = {
  sql: 'EXISTS (SELECT 1 FROM window_tags AS t WHERE t.tenant = windows.tenant AND t.tag = ? AND t.window = seq)',
  count: 'SELECT count(*) FROM (SELECT 1 FROM window_tags WHERE tenant = ? AND tag = ? LIMIT ?)',
  from: 'window_tags AS found CROSS JOIN windows ON seq = found.window WHERE found.tenant = ? AND found.tag = ?',
}

function byColumn(column: string, index: string): Omit<Finder, 'value'> {
  return {
    sql: `${column} = ?`,
    count: `SELECT count(*) FROM (SELECT 1 FROM windows INDEXED BY ${index} WHERE tenant = ? AND ${column} = ? LIMIT ?)`,
    from: `windows INDEXED BY ${index} WHERE windows.tenant = ? AND ${column} = ?`,
  }
}

function filtersOf({ model, state, pin, text, createdFrom, createdBefore }: WindowQuery): readonly Condition[] {
  const all: readonly (readonly [sql: string, value: Bindable | undefined])[] = [
    ['model = ?', model],
    ['state = ?', state],
    ['pin = ?', pin],
    ["name LIKE ? ESCAPE '\\'", text === undefined ? undefined : `%${text.replace(/[\\%_]/g, '\\$&')}%`],
    ['created_at >= ?', createdFrom],
    ['created_at < ?', createdBefore],
  ]
  return all.flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, value }]))
}
