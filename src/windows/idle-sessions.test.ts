import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { SessionRecord } from '../base/records.ts'
import type { Store } from '../store/store.ts'
import type { Deletions } from './deletions.ts'
import { endIdleSessions } from './idle-sessions.ts'

const DAY = 24 * 3_600_000

/** That many idle unnamed sessions. Busy ones cannot be ended. */
function ending(count: number, busy: readonly string[] = []) {
  const idle = new Set(Array.from({ length: count }, (_, n) => `s-${n}`))
  const listIdle = async (_before: number, lasting: boolean, atMost: number, after = -1) =>
    [...(lasting ? [] : idle)]
      .map((id) => ({ id, lastTurnAt: Number(id.slice(2)) }) as SessionRecord)
      .filter(({ lastTurnAt }) => lastTurnAt > after)
      .slice(0, atMost)
  const endSession = async ({ id }: SessionRecord) => (!busy.includes(id) && idle.delete(id) ? {} : undefined)
  const run = (signal: AbortSignal) =>
    endIdleSessions(
      { store: { listIdle } as unknown as Store, now: () => 2 * DAY },
      { endSession, expireSessions: async () => [] } as unknown as Deletions,
      { lastingMs: DAY, passingMs: DAY },
      signal,
    )
  return { run, idle }
}

it('ends all idle sessions, however many there are', async () => {
  const { run, idle } = ending(450)

  expect(await run(new AbortController().signal)).toBe(450)
  expect(idle.size).toBe(0)
})

it('leaves sessions that cannot be ended now to the next run, and ends those behind them, however many there are', async () => {
  const { run, idle } = ending(
    450,
    Array.from({ length: 300 }, (_, n) => `s-${n}`),
  )

  expect(await run(new AbortController().signal)).toBe(150)
  expect([idle.size, idle.has('s-0'), idle.has('s-299')]).toEqual([300, true, true])
})

it('does not keep other tenants waiting for one whose deletes all wait for a slot', async () => {
  const asked: string[] = []
  const page = ['a', 'a', 'b', 'b'].map((tenant, n) => ({ tenant, id: `s-${n}` }) as SessionRecord)
  const endSession = async ({ tenant, id }: SessionRecord) => {
    asked.push(id)
    if (tenant === 'a') throw new CwmError('OVERLOADED', 'no slot came free')
    return {}
  }

  const ended = await endIdleSessions(
    { store: { listIdle: async () => page } as unknown as Store, now: () => 2 * DAY },
    { endSession, expireSessions: async () => [] } as unknown as Deletions,
    { lastingMs: DAY, passingMs: 0 },
    new AbortController().signal,
  )

  expect([ended, asked]).toEqual([2, ['s-0', 's-2', 's-3']])
})

it('ends none after it is aborted', async () => {
  const { run } = ending(450)

  expect(await run(AbortSignal.abort())).toBe(0)
})

describe('sessions that had one turn', () => {
  const first = (id: string, change: Partial<SessionRecord> = {}): SessionRecord => ({
    ...{ tenant: 'acme', id, lineage: `l-${id}`, named: false, head: 0, turns: 1, createdAt: 0, lastTurnAt: 0 },
    spaces: [{ model: 'small', kvEpoch: 0 }],
    ...change,
  })

  /** How they are ended. `atOnce`: how many a store ends together. */
  async function endingsOf(sessions: readonly SessionRecord[], atOnce = 100, busy: readonly string[] = []) {
    const endings: string[] = []
    const idle = new Set(sessions)
    const listIdle = async (_before: number, lasting: boolean) => (lasting ? [] : [...idle].slice(0, 200))
    const expireSessions = async (some: readonly SessionRecord[]) => {
      const ended = some.filter(({ id }) => !busy.includes(id)).slice(0, atOnce)
      if (ended.length > 0) endings.push(ended.map(({ id }) => id).join(' '))
      for (const session of ended) idle.delete(session)
      return ended
    }
    const endSession = async (session: SessionRecord) => {
      endings.push(`alone ${session.id}`)
      idle.delete(session)
      return {}
    }
    const count = await endIdleSessions(
      { store: { listIdle } as unknown as Store, now: () => 2 * DAY },
      { endSession, expireSessions } as unknown as Deletions,
      { lastingMs: 0, passingMs: DAY },
      new AbortController().signal,
    )
    return { endings, count }
  }

  it('are ended together by tenant and spaces', async () => {
    const large = { spaces: [{ model: 'large', kvEpoch: 0 }] }
    const sessions = [first('a'), first('b', { tenant: 'globex' }), first('c'), first('d', large), first('e', large)]
    const others = [first('f', { turns: 2 }), first('g', { shared: 'user' }), first('h', { named: true })]

    expect(await endingsOf([...sessions, ...others])).toEqual({
      endings: ['a c', 'd e', 'alone b', 'alone f', 'alone g', 'alone h'],
      count: 8,
    })
  })

  it('are ended in parts where a store ends fewer at once, and alone where it ends none', async () => {
    const sessions = ['a', 'b', 'c', 'd', 'e'].map((id) => first(id))

    expect(await endingsOf(sessions, 2, ['b', 'e'])).toEqual({ endings: ['a c', 'd', 'alone b', 'alone e'], count: 5 })
  })
})
