// Lists of windows in Redis: one tenant's by any filter and order, and all tenants' for the reconciler. Redis determines the names on a
// page (pageScript); the records are read afterwards, so a window removed in between makes a page shorter.

import type { WindowRecord, WindowState } from '../../base/records.ts'
import { checkLimit, type Place, placeIn, positionIn, toPage, toPageAt, windowList } from '../page.ts'
import type { Store } from '../store.ts'
import type { WindowConditions } from '../store-values.ts'
import { encodeTenant, memberOf, type TenantKeys } from './redis-keys.ts'
import type { Entry, RedisRows, SetQuery } from './redis-rows.ts'
import { windowFromStored } from './redis-values.ts'

/** Sorts after every name. */
const lastName = '~'

/** The window lists of the store. */
export function windowListsIn(rows: RedisRows): Pick<Store, 'listWindows' | 'countWindows' | 'listForRepair'> {
  return {
    async listWindows(tenant, query) {
      const { limit, sort = 'created', order = 'desc' } = query
      checkLimit(limit)
      const keys = rows.keysOf(tenant)
      const list = windowList(query)
      const place = placeIn(list, query, sort === 'name' ? 'string' : 'number', 'string')
      const entries = await rows.page(keys.windowsBy(sort), {
        order: (order === 'desc') === place.isBackward ? 'asc' : 'desc',
        limit,
        after: entryAt(place),
        ...conditionsOf(keys, query),
      })
      const page = toPageAt(
        list,
        place,
        entries,
        limit,
        (entry) => entry.name,
        (entry) => (sort === 'name' ? [entry.name, entry.name] : [entry.score, entry.name]),
      )
      return { ...page, items: await readWindows(rows, tenant, page.items) }
    },

    async countWindows(tenant, conditions, atMost) {
      const keys = rows.keysOf(tenant)
      const wanted = { order: 'desc', limit: atMost - 1, ...conditionsOf(keys, conditions) } as const
      return (await rows.page(keys.windowsBy('created'), wanted)).length
    },

    async listForRepair(states, page) {
      checkLimit(page.limit)
      const position = positionIn('repair', page, 'number', 'string')
      const entries = await rows.ofAllTenants(async (tenant) => {
        const found = await rows.page(rows.keysOf(tenant).windowsBy('created'), {
          order: 'asc',
          limit: page.limit,
          after: position && startWithin(tenant, ...position),
          groups: [toRepair(rows.keysOf(tenant), states)],
        })
        return found.map((entry) => ({ ...entry, tenant, member: memberOf(tenant, entry.name) }))
      })
      entries.sort((a, b) => a.score - b.score || (a.member < b.member ? -1 : 1))
      const merged = toPage(
        'repair',
        entries,
        page.limit,
        (entry) => entry,
        (entry) => [entry.score, entry.member],
      )
      const windows = await Promise.all(merged.items.map(({ tenant, name }) => readWindows(rows, tenant, [name])))
      return { ...merged, items: windows.flat() }
    },
  }
}

/** The windows that still exist under these names. */
export async function readWindows(rows: RedisRows, tenant: string, names: readonly string[]): Promise<WindowRecord[]> {
  const keys = rows.keysOf(tenant)
  const stored = await rows.getAll(names.map((name) => keys.window(name)))
  return stored.flatMap((raw) => (raw === null ? [] : [windowFromStored(rows.sealer, raw)]))
}

function entryAt({ position }: Place): Entry | undefined {
  if (position === undefined) return undefined
  const [at, name] = position
  return { score: typeof at === 'number' ? at : 0, name: String(name) }
}

function conditionsOf(keys: TenantKeys, query: WindowConditions): Pick<SetQuery, 'groups' | 'text' | 'created'> {
  return {
    groups: filtersOf(keys, query),
    text: query.text,
    created: { key: keys.windowsBy('created'), from: query.createdFrom, before: query.createdBefore },
  }
}

function filtersOf(keys: TenantKeys, query: WindowConditions): readonly (readonly string[])[] {
  const { tags = [], model, state, pin, sessionId, parent } = query
  const given = (['model', 'state', 'pin', 'session', 'parent'] as const).flatMap((field, n) => {
    const value = [model, state, pin, sessionId, parent][n]
    return value === undefined ? [] : [[keys.windowsIn(field, value)]]
  })
  return [...tags.map((tag) => [keys.windowsIn('tag', tag)]), ...given]
}

function toRepair(keys: TenantKeys, states: readonly WindowState[]): readonly string[] {
  return [
    ...states.map((state) => keys.windowsIn('state', state)),
    keys.windowsIn('pin', 'pinning'),
    keys.windowsIn('pin', 'pinned'),
  ]
}

/** The position within one tenant at which a list of all tenants continues. At equal times, tenants are ordered by their encoded ids. */
function startWithin(tenant: string, at: number, member: string): Entry {
  const own = `${encodeTenant(tenant)}/`
  if (member.startsWith(own)) return { score: at, name: member.slice(own.length) }
  return { score: at, name: own < member ? lastName : '' }
}
