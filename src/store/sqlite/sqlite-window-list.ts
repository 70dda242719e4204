// The list of windows in SQLite. This code chooses the index, because SQLite has no counts: if a tag, a session or a parent has few
// windows, these are read and sorted; otherwise the list is walked in its order until the page is full.

import type { WindowRecord } from '../../base/records.ts'
import { checkLimit, type Position, placeIn, toPageAt, windowList } from '../page.ts'
import type { Store } from '../store.ts'
import type { Page, WindowConditions, WindowQuery } from '../store-values.ts'
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
export function windowListIn({ db, sealer }: SqliteCore): Pick<Store, 'listWindows' | 'countWindows'> {
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

  /** What to select from, and all conditions, with their values. */
  function select(tenant: string, query: WindowConditions, sort: Sort) {
    const finders = findersOf(query)
    const best = bestOf(finders, tenant)
    const conditions = [...finders.filter((finder) => finder !== best), ...filtersOf(query)]
    const from = best?.from ?? `windows INDEXED BY windows_by_${sort} WHERE windows.tenant = ?`
    return {
      sql: [from, ...conditions.map(({ sql }) => sql)].join(' AND '),
      values: [tenant, ...(best === undefined ? [] : [best.value]), ...conditions.map(({ value }) => value)],
    }
  }

  return {
    async listWindows(tenant, query): Promise<Page<WindowRecord>> {
      const { limit, sort = 'created', order = 'desc' } = query
      checkLimit(limit)
      const list = windowList(query)
      const place = placeIn(list, query, sort === 'name' ? 'string' : 'number', 'string')
      const { column, of } = sorts[sort]
      const way = (order === 'desc') === place.isBackward ? 'asc' : 'desc'
      return db.run(() => {
        const { sql, values } = select(tenant, query, sort)
        const after = place.position === undefined ? '' : `AND (${column}, name) ${way === 'desc' ? '<' : '>'} (?, ?)`
        const text = `SELECT record, key_id, words FROM ${sql} ${after} ORDER BY ${column} ${way}, name ${way} LIMIT ?`
        const rows = statement(text)
          .all(...values, ...(place.position ?? []), limit + 1)
          .map((row) => windowAt(row, 0, sealer))
        const positionOf = (window: WindowRecord): Position => [of(window), window.name]
        return toPageAt(list, place, rows, limit, (window) => window, positionOf)
      })
    },

    countWindows: (tenant, conditions, atMost) =>
      db.run(() => {
        const { sql, values } = select(tenant, conditions, 'created')
        const row = statement(`SELECT count(*) FROM (SELECT 1 FROM ${sql} LIMIT ?)`).get(...values, atMost)
        return row === undefined ? 0 : numberAt(row, 0)
      }),
  }
}

function findersOf({ tags = [], sessionId, parent }: WindowConditions): readonly Finder[] {
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

function filtersOf({ model, state, pin, text, createdFrom, createdBefore }: WindowConditions): readonly Condition[] {
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
