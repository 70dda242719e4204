import { expect, it, vi } from 'vitest'
import type { SessionRecord } from '../base/records.ts'
import { positionIn, toPage } from '../store/page.ts'
import type { PageRequest } from '../store/store-values.ts'
import { MAX_EXAMINED, SessionLists, type SessionQuery } from './session-list.ts'

const aSession = (id: string, change: Partial<SessionRecord> = {}): SessionRecord => ({
  tenant: 'acme',
  id,
  named: true,
  lineage: id,
  createdAt: 0,
  lastTurnAt: 0,
  turns: 0,
  head: 0,
  spaces: [],
  ...change,
})

/** A store with these sessions, newest first. */
function storeOf(sessions: readonly SessionRecord[]) {
  const list = vi.fn(async (_tenant: string, page: PageRequest) => {
    const [start = 0] = positionIn('sessions', page, 'number', 'string') ?? []
    const rows = sessions.slice(start).map((session, n) => ({ session, at: start + n + 1 }))
    const { limit } = page
    return toPage(
      'sessions',
      rows.slice(0, limit + 1),
      limit,
      ({ session }) => session,
      ({ at }) => [at, ''],
    )
  })
  const usage = { sessions: sessions.length, windows: 0, windowBytes: 0, pinnedTokens: 0 }
  return { listSessions: list, usageOf: async () => usage }
}

const listSessions = (store: ReturnType<typeof storeOf>, tenant: string, query: SessionQuery) =>
  new SessionLists(store).list(tenant, query)

const usage = (totalTokens: number) => ({ promptTokens: totalTokens, completionTokens: 0, totalTokens })
const sessions = [
  aSession('Ann', { lastTurnAt: 5, turns: 2, model: 'large', usage: usage(10) }),
  aSession('ben', { lastTurnAt: 4, turns: 9, baseWindow: 'anna-notes', usage: usage(30) }),
  aSession('cid', { lastTurnAt: 3, turns: 2, named: false, createdAt: 7, usage: usage(20) }),
  aSession('dan', {
    lastTurnAt: 2,
    model: 'large',
    truncation: { at: 1, promptTokens: 1, completionTokens: 1, limit: 2, streamed: false },
  }),
  aSession('eve', { lastTurnAt: 1, prefixBreak: { at: 1, cause: 'message', cachedTokens: 0, expectedTokens: 1 } }),
]

const cases: readonly (readonly [Partial<SessionQuery>, string])[] = [
  [{}, 'Ann ben cid dan eve'],
  [{ order: 'asc' }, 'eve dan cid ben Ann'],
  [{ text: 'ANN' }, 'Ann ben'],
  [{ text: 'nobody' }, ''],
  [{ model: 'large' }, 'Ann dan'],
  [{ state: 'named' }, 'Ann ben dan eve'],
  [{ state: 'recognized' }, 'cid'],
  [{ state: 'thawed' }, 'ben'],
  [{ state: 'truncated' }, 'dan'],
  [{ state: 'cold' }, 'eve'],
  [{ state: 'rolled_over' }, ''],
  [{ baseWindow: 'anna-notes' }, 'ben'],
  [{ sort: 'tokens' }, 'ben cid Ann eve dan'],
  [{ sort: 'turns', order: 'asc' }, 'dan eve Ann cid ben'],
  [{ sort: 'created' }, 'cid eve dan ben Ann'],
  [{ sort: 'id', order: 'asc' }, 'Ann ben cid dan eve'],
  [{ sort: 'tokens', model: 'large', order: 'asc' }, 'dan Ann'],
]

it.each(cases)('lists for %j: %j, on one page, on many, and backward', async (query, expected) => {
  const store = storeOf(sessions)
  const read = async (page: PageRequest) => await listSessions(store, 'acme', { ...query, ...page, count: true })
  const idsOf = (pages: readonly { items: readonly SessionRecord[] }[]) =>
    pages.flatMap(({ items }) => items.map(({ id }) => id)).join(' ')
  const whole = await read({ limit: 10 })
  const pages = [await read({ limit: 2 })]
  for (let next = pages[0]?.nextCursor; next !== undefined; next = pages.at(-1)?.nextCursor) {
    pages.push(await read({ limit: 2, cursor: next }))
  }

  expect([idsOf([whole]), whole.total]).toEqual([expected, expected === '' ? 0 : expected.split(' ').length])
  expect(idsOf(pages)).toBe(expected)
  // The plain list is the store's, whose contract has its pages.
  const back = [pages.at(-1)]
  for (let cursor = back[0]?.previousCursor; cursor !== undefined; cursor = back[0]?.previousCursor) {
    back.unshift(await read({ limit: 2, cursor }))
  }
  if (Object.keys(query).length > 0) {
    expect(back.map((page) => page?.items)).toEqual(pages.map(({ items }) => items))
    expect(back.map((page) => page?.before)).toEqual(pages.map((_, n) => 2 * n))
  }
})

it('examines the newest sessions only, and says so', async () => {
  const many = Array.from({ length: MAX_EXAMINED + 700 }, (_, n) => aSession(`s-${n}`, { turns: n }))

  const got = await listSessions(storeOf(many), 'acme', { limit: 2, sort: 'turns', count: true })

  expect(got.items.map(({ turns }) => turns)).toEqual([MAX_EXAMINED - 1, MAX_EXAMINED - 2])
  expect(got).toMatchObject({ total: MAX_EXAMINED, examined: MAX_EXAMINED })
})

it('stops at a full page if nothing has to be counted', async () => {
  const store = storeOf(Array.from({ length: 5_000 }, (_, n) => aSession(`s-${n}`)))

  const got = await listSessions(store, 'acme', { limit: 2, text: 's-' })

  expect(got.items).toHaveLength(2)
  expect(got.nextCursor).toBeDefined()
  expect(store.listSessions).toHaveBeenCalledTimes(1)
})

it('rejects the cursor of another query', async () => {
  const store = storeOf(sessions)
  const { nextCursor = '' } = await listSessions(store, 'acme', { limit: 1, sort: 'tokens' })

  await expect(
    listSessions(store, 'acme', { limit: 1, sort: 'tokens', model: 'large', cursor: nextCursor }),
  ).rejects.toMatchObject({ code: 'INVALID_FIELD', param: 'cursor' })
})

it('examines for one list of a tenant at a time, for other tenants meanwhile, and refuses a long line', async () => {
  const store = storeOf(sessions)
  const lists = new SessionLists(store)
  const list = (tenant: string) => lists.list(tenant, { limit: 1, sort: 'turns' })
  const order: string[] = []
  const read = store.listSessions.getMockImplementation()
  store.listSessions.mockImplementation(async (tenant, page) => {
    order.push(`begin ${tenant}`)
    const answer = await read?.(tenant, page)
    await new Promise((resolve) => setImmediate(resolve))
    order.push(`end ${tenant}`)
    return answer ?? { items: [] }
  })

  const waiting = Array.from({ length: 17 }, () => list('acme'))
  const other = list('globex')
  await expect(list('acme')).rejects.toMatchObject({ code: 'OVERLOADED' })
  await Promise.all([...waiting, other])

  expect(order.filter((step) => step.endsWith('acme'))).toEqual(
    Array.from({ length: 17 }, () => ['begin acme', 'end acme']).flat(),
  )
  expect(order.indexOf('begin globex')).toBeLessThan(4)
  // The line is gone.
  await list('acme')
})
