// Lists of sessions: by last turn straight from the store; with conditions or in another order by examining the tenant's newest sessions.
// Stores keep no index for these, because each turn would have to write it.

import { setImmediate as nextRound } from 'node:timers/promises'
import { CwmError } from '../base/errors.ts'
import type { SessionRecord } from '../base/records.ts'
import { checkLimit, type Place, type Position, placeIn, queryList, toPageAt } from '../store/page.ts'
import type { Store } from '../store/store.ts'
import type { Page, PageRequest } from '../store/store-values.ts'

/** `recognized`: found by its history, not named. `thawed`: it is based on a window. `cold`: its last turn was unexpectedly cold. */
export type SessionState = 'named' | 'recognized' | 'thawed' | 'rolled_over' | 'truncated' | 'cold'

/** Which sessions. All conditions must hold; an absent one matches everything. */
export interface SessionConditions {
  /** Text in the id or in the name of the base window, ignoring case. */
  readonly text?: string
  readonly model?: string
  readonly state?: SessionState
  readonly baseWindow?: string
}

export type SessionSort = 'last_turn' | 'created' | 'turns' | 'tokens' | 'id'

export interface SessionQuery extends PageRequest, SessionConditions {
  /** Default `last_turn`. Ties are ordered by id. */
  readonly sort?: SessionSort
  /** Default `desc`. */
  readonly order?: 'asc' | 'desc'
  /** Whether to count. */
  readonly count?: boolean
}

export interface SessionPage extends Page<SessionRecord> {
  /** Sessions that meet the conditions, if they were counted. */
  readonly total?: number
  /** Set if only so many of the newest sessions were examined, and there are older ones. */
  readonly examined?: number
}

type ListStore = Pick<Store, 'listSessions' | 'usageOf'>

/**
 * Sessions that one list examines at most. 10,000 took 0.2 s with SQLite and 0.4 s with Redis on a busy machine with two cores, in steps that
 * let other requests pass.
 */
export const MAX_EXAMINED = 10_000
const AT_ONCE = 200
/** Lists of one tenant that examine sessions run one after the other. So many may wait. */
const MAX_WAITING = 16

const sorts: Readonly<Record<SessionSort, (session: SessionRecord) => number | string>> = {
  last_turn: ({ lastTurnAt }) => lastTurnAt,
  created: ({ createdAt }) => createdAt,
  turns: ({ turns }) => turns,
  tokens: ({ usage }) => usage?.contextTokens ?? usage?.totalTokens ?? 0,
  id: ({ id }) => id,
}

const states: Readonly<Record<SessionState, (session: SessionRecord) => boolean>> = {
  named: ({ named }) => named,
  recognized: ({ named }) => !named,
  thawed: ({ baseWindow }) => baseWindow !== undefined,
  rolled_over: ({ rollover }) => rollover !== undefined,
  truncated: ({ truncation }) => truncation !== undefined,
  cold: ({ prefixBreak }) => prefixBreak !== undefined,
}

/** Lists the sessions of tenants. */
export class SessionLists {
  readonly #store: ListStore
  /** By tenant: the lists that examine sessions or wait for that, and the end of the last one. */
  readonly #lines = new Map<string, { count: number; last: Promise<unknown> }>()

  constructor(store: ListStore) {
    this.#store = store
  }

  /** A page of a tenant's sessions. Throws `INVALID_FIELD` for a cursor of another query, `OVERLOADED`, and what the store throws. */
  async list(tenant: string, query: SessionQuery): Promise<SessionPage> {
    const { limit, cursor, text, model, state, baseWindow, sort = 'last_turn', order = 'desc', count = false } = query
    const conditions = Object.entries({ text, model, state, baseWindow }).filter(([, value]) => value !== undefined)
    if (conditions.length > 0 || sort !== 'last_turn' || order !== 'desc') {
      return await this.#inLine(tenant, () => examine(this.#store, tenant, query))
    }
    const page = await this.#store.listSessions(tenant, cursor === undefined ? { limit } : { limit, cursor })
    return count ? { ...page, total: (await this.#store.usageOf(tenant)).sessions } : page
  }

  async #inLine<T>(tenant: string, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(tenant) ?? { count: 0, last: Promise.resolve() }
    if (line.count > MAX_WAITING) {
      const message = `${line.count} lists of sessions with a filter or an order are already in progress; retry later`
      throw new CwmError('OVERLOADED', message, { retryAfterS: 1 })
    }
    this.#lines.set(tenant, line)
    line.count++
    const done = line.last.then(work)
    line.last = done.catch(() => {})
    try {
      return await done
    } finally {
      line.count--
      if (line.count === 0) this.#lines.delete(tenant)
    }
  }
}

async function examine(store: ListStore, tenant: string, query: SessionQuery): Promise<SessionPage> {
  const { limit, sort = 'last_turn', order = 'desc', count = false } = query
  checkLimit(limit)
  const matches = matcherOf(query)
  const list = queryList('sessions', [sort, order, query.text, query.model, query.state, query.baseWindow])
  const place = placeIn(list, query, sort === 'id' ? 'string' : 'number', 'string')
  const nearest = new Nearest(sorts[sort], order, place, limit + 1)
  const stopEarly = !count && sort === 'last_turn' && order === 'desc' && place.position === undefined
  let [examined, total, isWhole, cursor]: [number, number, boolean, string | undefined] = [0, 0, false, undefined]
  while (!isWhole && examined < MAX_EXAMINED && !(stopEarly && total > limit)) {
    const page = await store.listSessions(tenant, { limit: AT_ONCE, ...(cursor === undefined ? {} : { cursor }) })
    const found = page.items.filter(matches)
    for (const session of found) nearest.add(session)
    examined += page.items.length
    total += found.length
    cursor = page.nextCursor
    isWhole = cursor === undefined
    await nextRound()
  }
  const positionOf = (session: SessionRecord): Position => [sorts[sort](session), session.id]
  const page = toPageAt(list, place, nearest.rows(), limit, (session) => session, positionOf)
  const isCut = !isWhole && examined >= MAX_EXAMINED
  return { ...page, ...(count ? { total } : {}), ...(isCut ? { examined } : {}) }
}

function matcherOf({ text, model, state, baseWindow }: SessionConditions): (session: SessionRecord) => boolean {
  const needle = text?.toLowerCase()
  const isInState = state === undefined ? () => true : states[state]
  return (session) =>
    (model === undefined || session.model === model) &&
    (baseWindow === undefined || session.baseWindow === baseWindow) &&
    isInState(session) &&
    (needle === undefined ||
      session.id.toLowerCase().includes(needle) ||
      session.baseWindow?.toLowerCase().includes(needle) === true)
}

/** The sessions nearest to a place, in the direction of the page. Holds twice as many as it returns at most. */
class Nearest {
  readonly #keyOf: (session: SessionRecord) => number | string
  readonly #sign: 1 | -1
  readonly #position: Place['position']
  readonly #most: number
  #kept: SessionRecord[] = []

  constructor(keyOf: (session: SessionRecord) => number | string, order: 'asc' | 'desc', place: Place, most: number) {
    this.#keyOf = keyOf
    this.#sign = (order === 'asc') === place.isBackward ? -1 : 1
    this.#position = place.position
    this.#most = most
  }

  add(session: SessionRecord): void {
    if (this.#position !== undefined && this.#compare([this.#keyOf(session), session.id], this.#position) <= 0) return
    this.#kept.push(session)
    if (this.#kept.length >= 2 * this.#most) this.#kept = [...this.rows()]
  }

  rows(): readonly SessionRecord[] {
    const positionOf = (session: SessionRecord): Position => [this.#keyOf(session), session.id]
    return this.#kept.sort((a, b) => this.#compare(positionOf(a), positionOf(b))).slice(0, this.#most)
  }

  #compare([a, idA]: Position, [b, idB]: Position): number {
    const difference = a === b ? 0 : a < b ? -1 : 1
    return this.#sign * (difference || (idA < idB ? -1 : Number(idA !== idB)))
  }
}
