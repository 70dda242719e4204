// The tracker on a failing shared store: what it keeps, what it retries, and what it must not trust.

import { afterEach, beforeEach, expect, it } from 'vitest'
import type { DeletionRecord } from '../src/base/deletion-records.ts'
import { CwmError } from '../src/base/errors.ts'
import type { SessionRecord } from '../src/base/records.ts'
import { rulesOf } from '../src/dialects/index.ts'
import { chainOf } from '../src/identity/chain.ts'
import { SessionTracker } from '../src/sessions/tracker.ts'
import { openSqliteStore } from '../src/store/sqlite/sqlite.ts'
import type { Store } from '../src/store/store.ts'
import type { StoreChange } from '../src/store/store-values.ts'
import { aWindow, someContent } from './contracts/store/sample-records.ts'

const AT = 1_000_000
const owner = { tenant: 't', isolation: 'session', user: undefined } as const
const space = { model: 'm', kvEpoch: 0 }
const clock = { at: AT }
let sqlite: Store
let listener: (change: StoreChange) => void
let down: ReadonlySet<string>
let maxStalenessMs: number
const late: SessionRecord[] = []

beforeEach(async () => {
  sqlite = await openSqliteStore({ path: ':memory:' })
  clock.at = AT
  down = new Set()
  maxStalenessMs = 1_000
  late.length = 0
})
afterEach(() => sqlite.close())

/** The store as one of several proxies uses it: others write too, and the methods in `down` fail. */
function shared(): Store {
  const onChange = (listen: (change: StoreChange) => void) => {
    listener = listen
    return () => {}
  }
  return new Proxy(sqlite, {
    get(target, name: keyof Store) {
      if (name === 'maxStalenessMs') return maxStalenessMs
      if (name === 'onChange') return onChange
      if (down.has(name)) return () => Promise.reject(new CwmError('STORE_UNAVAILABLE', 'away'))
      return target[name]
    },
  })
}

function tracker(): SessionTracker {
  const limits = {
    maxSessionBytes: 256 * 1024,
    maxHistoryBytes: 64 * 1024,
    boundaryTtlMs: 60_000,
    responseTtlMs: 60_000,
  }
  const onLate = (session: SessionRecord) => void late.push(session)
  return new SessionTracker({ store: shared(), now: () => clock.at, onLate, ...limits })
}

const away: ReadonlySet<string> = new Set([
  'getSession',
  'saveTurn',
  'findBoundaries',
  'getOrCreateSession',
  'isRetired',
])
const asked = chainOf('t', [{ role: 'user', content: 'hi' }], (message) => rulesOf('chat').canonical(message))
const boundary = asked.boundary([{ role: 'assistant', content: 'hello' }]) ?? { digest: '', rank: 0 }
const next = chainOf(
  't',
  [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'hello' },
    { role: 'user', content: 'more' },
  ],
  (message) => rulesOf('chat').canonical(message),
)

async function endElsewhere(session: SessionRecord): Promise<void> {
  const { tenant, id, lineage, spaces } = session
  const order = { tenant, id: 'd', kind: 'session', name: id, lineage, spaces, pin: 'none', state: 'open' } as const
  const times = { at: AT, tries: 0, nextTryAt: AT }
  await sqlite.removeSession({ ...session, lastTurnAt: Infinity }, { ...order, ...times } satisfies DeletionRecord, [])
}

it('begins sessions of their own however long the store is away', async () => {
  const sessions = tracker()
  down = away
  maxStalenessMs = 0

  const session = await sessions.unnamed(owner)
  clock.at += 60_000

  expect(sessions.mayDispatch(session, session.record.lineage)).toBe(true)
})

it('asks the store before a turn of a session that the store may have, although it could not confirm it', async () => {
  const sessions = tracker()
  const session = await sessions.unnamed(owner)
  down = away
  await expect(sessions.save(session, [boundary])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  clock.at += 1_001

  await expect(sessions.mayDispatch(session, session.record.lineage)).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  })
})

it('stores a turn that the store could not accept with the next sweep', async () => {
  const sessions = tracker()
  const session = await sessions.named(owner, 'x')
  session.change({ turns: 1 })
  down = away
  await expect(sessions.save(session, [boundary])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

  down = new Set()
  await sessions.sweep()

  expect(await sqlite.getSession('t', 'x')).toMatchObject({ turns: 1 })
})

it('stores it at shutdown if no sweep came first', async () => {
  const sessions = tracker()
  const session = await sessions.named(owner, 'x')
  session.change({ turns: 1 })
  down = away
  await expect(sessions.save(session, [boundary])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

  down = new Set()
  await sessions.close()

  expect(await sqlite.getSession('t', 'x')).toMatchObject({ turns: 1 })
})

it('shares a history that it could not store with nobody, because another process may have delivered the same', async () => {
  const sessions = tracker()
  const session = await sessions.unnamed(owner)
  sessions.announce(session, [boundary.digest])
  down = away
  await expect(sessions.save(session, [boundary])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

  const during = await sessions.byPrefix('t', next)
  down = new Set()
  const after = await sessions.byPrefix('t', next)

  expect(during).toEqual({ kind: 'unknown' })
  expect(after).toEqual({ kind: 'ambiguous', behindWindow: false })
})

it('reports a session whose turn it could not store and which was ended elsewhere', async () => {
  const sessions = tracker()
  const session = await sessions.named(owner, 'x')
  await sessions.enter(session, space)
  down = away
  await expect(sessions.save(session, [])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await endElsewhere(session.record)

  down = new Set()
  await sessions.sweep()

  expect(late).toMatchObject([{ id: 'x', spaces: [space] }])
})

it('sends a turn in a new lineage if the store cannot record where its KV will be, except a turn after a window', async () => {
  const sessions = tracker()
  const free = await sessions.named(owner, 'free')
  const bound = await sessions.named(owner, 'bound')
  await sqlite.reserveWindow(aWindow({ tenant: owner.tenant }), someContent())
  await sessions.bind(bound, { lineage: 'w', baseWindow: 'draft', baseWindowId: 'window-1' })
  down = new Set(['saveTurn'])

  const went = await sessions.enter(free, space)

  expect(went.temporary).toBe(true)
  expect(went.record.lineage).not.toBe(free.record.lineage)
  expect(free.record.spaces).toEqual([])
  await expect(sessions.enter(bound, space)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

it('returns a named session to its own state while a temporary turn of it is still in flight', async () => {
  const sessions = tracker()
  const own = await sessions.named(owner, 'x')
  clock.at += 1_001
  down = away
  const temporary = await sessions.named(owner, 'x')
  sessions.hold(temporary)

  down = new Set()
  const after = await sessions.named(owner, 'x')
  sessions.release(temporary)

  expect([temporary.temporary, after]).toEqual([true, own])
})

it('treats a session that was ended and restarted elsewhere as another one', async () => {
  const sessions = tracker()
  const before = await sessions.named(owner, 'x')
  await endElsewhere(before.record)
  await sqlite.getOrCreateSession({ ...before.record, lineage: 'another' })
  clock.at += 1_001

  const after = await sessions.named(owner, 'x')

  expect([before.ended, after.record.lineage]).toEqual([true, 'another'])
})

it('aborts turns in flight under a lineage that was retired elsewhere', async () => {
  const sessions = tracker()
  const session = await sessions.named(owner, 'x')
  sessions.hold(session)
  let told = 0
  session.onEnd(() => told++)

  listener({ kind: 'lineage', tenant: 't', lineage: session.record.lineage })

  expect([told, session.ended]).toEqual([1, true])
  expect(await sessions.mayDispatch(session, session.record.lineage)).toBe(false)
})

it('learns of a freeze that another proxy made of a session, although that proxy has had no turn of it', async () => {
  const [here, there] = [tracker(), tracker()]
  const owner = { tenant: 't', isolation: 'session', user: undefined } as const
  const mine = await here.named(owner, 'ann')
  const theirs = await there.named(owner, 'ann')
  const auto = { count: 1, window: 'auto.1', at: AT }
  theirs.change({ auto })
  await there.save(theirs, [])

  clock.at += 2_000
  await here.named(owner, 'ann')

  expect(mine.record.auto).toEqual(auto)
})
