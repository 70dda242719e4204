// The erasure of a tenant that keeps sending: it ends, and what existed when it began is gone.

import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { anOrder, aSession } from '../../test/contracts/store/sample-records.ts'
import type { SessionRecord } from '../base/records.ts'
import type { PageRequest } from '../store/store-values.ts'
import type { Deletions } from './deletions.ts'
import { type ErasureParts, eraseTenant } from './erase-tenant.ts'

const CLOCK_AHEAD_MS = 4_000

interface Sending {
  /** Sessions that exist when the erasure begins. */
  readonly older: number
  /** Sessions that begin long after it. */
  readonly newer?: number
  /** Called before a page of sessions is read. */
  readonly turn?: (live: Map<string, SessionRecord>) => void
}

/** Each session that is ended takes 100 ms, in which the tenant begins another. */
async function eraseWhileSending({ older, newer = 0, turn = () => {} }: Sending) {
  let clock = 1_000_000
  let created = 0
  let ending = 0
  let most = 0
  const live = new Map<string, SessionRecord>()
  const begin = (createdAt: number) => {
    const id = `s${++created}`
    live.set(id, aSession({ id, createdAt, lastTurnAt: createdAt }))
  }
  for (let n = 0; n < older; n++) begin(clock - older + n)
  for (let n = 0; n < newer; n++) begin(clock + 60_000 + n)
  const store = {
    listSessions: async (_tenant: string, { limit, cursor }: PageRequest) => {
      turn(live)
      const after = cursor === undefined ? Number.POSITIVE_INFINITY : Number(cursor)
      const rest = [...live.values()]
        .filter(({ lastTurnAt }) => lastTurnAt < after)
        .sort((a, b) => b.lastTurnAt - a.lastTurnAt)
      const items = rest.slice(0, limit)
      return rest.length > limit ? { items, nextCursor: String(items.at(-1)?.lastTurnAt) } : { items }
    },
    listWindows: async () => ({ items: [] }),
    forgetTenant: async () => {},
  }
  const deletions = {
    eraseRequests: async () => [],
    endSession: async ({ id }: SessionRecord) => {
      most = Math.max(most, ++ending)
      await nextTurn()
      ending--
      live.delete(id)
      clock += 100
      begin(clock)
      return anOrder({ id, kind: 'session' })
    },
  }
  const settles = { record: () => {}, settle: async () => {}, forget: async () => {} }
  const parts = { store, now: () => clock, audit: settles, events: settles, ledger: settles }
  const start = clock
  const erasure = await eraseTenant(
    parts as unknown as ErasureParts,
    deletions as unknown as Deletions,
    'acme',
    'operator',
  )
  return { erasure, most, oldest: Math.min(...[...live.values()].map(({ createdAt }) => createdAt)) - start }
}

it('ends although the tenant begins a session for each that is ended', async () => {
  const { erasure, most, oldest } = await eraseWhileSending({ older: 250 })

  // A few at once.
  expect(most).toBe(8)
  expect(erasure.sessions).toBeGreaterThanOrEqual(250)
  expect(oldest).toBeGreaterThan(CLOCK_AHEAD_MS)
})

it('finds a session that a turn moves to the head of the list while its tail is read', async () => {
  let pages = 0
  const turn = (live: Map<string, SessionRecord>) => {
    const old = live.get('s1')
    if (++pages === 2 && old !== undefined) live.set('s1', { ...old, lastTurnAt: 5_000_000 })
  }

  const { erasure, oldest } = await eraseWhileSending({ older: 1, newer: 150, turn })

  expect(erasure.sessions).toBeGreaterThanOrEqual(1)
  expect(oldest).toBeGreaterThan(CLOCK_AHEAD_MS)
})
