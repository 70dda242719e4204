import { expect, it } from 'vitest'
import type { SessionRecord } from '../base/records.ts'
import type { Store } from '../store/store.ts'
import type { Deletions } from './deletions.ts'
import { endIdleSessions } from './idle-sessions.ts'

const DAY = 24 * 3_600_000

/** That many idle unnamed sessions. Busy ones cannot be ended. */
function ending(count: number, busy: readonly string[] = []) {
  const idle = new Set(Array.from({ length: count }, (_, n) => `s-${n}`))
  const listIdle = async (_before: number, lasting: boolean, atMost: number) =>
    lasting ? [] : [...idle].slice(0, atMost).map((id) => ({ id }) as SessionRecord)
  const endSession = async ({ id }: SessionRecord) => (!busy.includes(id) && idle.delete(id) ? {} : undefined)
  const run = (signal: AbortSignal) =>
    endIdleSessions(
      { store: { listIdle } as unknown as Store, now: () => 2 * DAY },
      { endSession } as unknown as Deletions,
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

it('leaves sessions that cannot be ended now to the next run', async () => {
  const { run, idle } = ending(450, ['s-0'])

  expect(await run(new AbortController().signal)).toBe(199)
  expect(idle.has('s-0')).toBe(true)
})

it('ends none after it is aborted', async () => {
  const { run } = ending(450)

  expect(await run(AbortSignal.abort())).toBe(0)
})
