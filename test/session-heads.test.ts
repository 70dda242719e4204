// Session ends and thaws into sessions, as two proxies see them on one real store in memory: earlier turns do not overwrite them.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { DeletionRecord } from '../src/base/deletion-records.ts'
import type { LiveSession } from '../src/sessions/live-session.ts'
import type { SessionOwner } from '../src/sessions/new-sessions.ts'
import { SessionTracker } from '../src/sessions/tracker.ts'
import { openSqliteStore } from '../src/store/sqlite/sqlite.ts'
import type { Store } from '../src/store/store.ts'
import { aWindow, someContent } from './contracts/store/sample-records.ts'

const AT = 1_000_000
let store: Store
beforeEach(async () => {
  store = await openSqliteStore({ path: ':memory:' })
})
afterEach(() => store.close())

function trackerOn(on: Store): SessionTracker {
  const limits = { maxSessionBytes: 256 * 1024, maxHistoryBytes: 64 * 1024, boundaryTtlMs: 1000, responseTtlMs: 1000 }
  return new SessionTracker({ store: on, now: () => AT, ...limits })
}

/** The owner of a session: no user named, no limit. */
const by = (tenant: string): SessionOwner => ({ tenant, isolation: 'session', user: undefined })

const order = (session: LiveSession): DeletionRecord => ({
  tenant: 't',
  id: 'deletion-1',
  kind: 'session',
  name: session.record.id,
  lineage: session.record.lineage,
  spaces: session.record.spaces,
  pin: 'none',
  state: 'open',
  at: AT,
  tries: 0,
  nextTryAt: AT,
})

describe('a session that was ended', () => {
  it('is not stored again by a turn in flight, which is reported', async () => {
    const tracker = trackerOn(store)
    const session = await tracker.named(by('t'), 'x')
    await store.removeSession(session.record, order(session), [])

    await tracker.save(session, [{ digest: 'digest', rank: 0 }])

    expect(session.ended).toBe(true)
    expect(await store.getSession('t', session.record.id)).toBeUndefined()
    expect((await store.findBoundaries('t', ['digest'], AT)).size).toBe(0)
  })

  it('restarts under its name with another lineage', async () => {
    const tracker = trackerOn(store)
    const before = await tracker.named(by('t'), 'x')
    await store.removeSession(before.record, order(before), [])
    tracker.ended('t', 'x')

    const after = await tracker.named(by('t'), 'x')

    expect(after.record.lineage).not.toBe(before.record.lineage)
  })

  it('is no longer dispatched once its lineage is retired', async () => {
    const tracker = trackerOn(store)
    const session = await tracker.named(by('t'), 'x')
    const { lineage } = session.record
    expect(await tracker.mayDispatch(session, lineage)).toBe(true)

    await store.removeSession(session.record, order(session), [])
    expect(await store.retireLineage('t', lineage)).toBe(true)
    tracker.retired('t', lineage)

    expect(await tracker.mayDispatch(session, lineage)).toBe(false)
  })
})

describe('a thaw into a session', () => {
  beforeEach(() => store.reserveWindow(aWindow({ tenant: 't' }), someContent()))

  const behind = { lineage: 'of-the-window', baseWindow: 'draft', baseWindowId: 'window-1' }

  it('stays, whatever an earlier turn stores', async () => {
    const [one, two] = [trackerOn(store), trackerOn(store)]
    const early = await one.named(by('t'), 'x')
    const late = await two.named(by('t'), 'x')
    expect(await two.bind(late, behind)).toBe('saved')

    early.change({ turns: 1 })
    await one.save(early, [{ digest: 'digest', rank: 0 }])

    expect(await store.getSession('t', 'x')).toMatchObject({ ...behind, head: 1, turns: 0 })
    expect((await one.named(by('t'), 'x')).record).toMatchObject({ ...behind, head: 1 })
  })

  it('is rejected if another thaw into it happened meanwhile', async () => {
    const [one, two] = [trackerOn(store), trackerOn(store)]
    const [a, b] = [await one.named(by('t'), 'x'), await two.named(by('t'), 'x')]

    const outcomes = [await one.bind(a, behind), await two.bind(b, { ...behind, lineage: 'of-another' })]

    expect(outcomes).toEqual(['saved', 'moved'])
    expect(await store.getSession('t', 'x')).toMatchObject({ lineage: 'of-the-window', head: 1 })
  })

  it('is stored before the first turn of an unnamed session, so that a delete of the window finds it', async () => {
    const tracker = trackerOn(store)
    const session = await tracker.unnamed(by('t'))

    expect(await tracker.bind(session, behind)).toBe('saved')

    expect((await store.sessionsOn(aWindow({ tenant: 't' }))).sessions).toEqual([session.record.id])
    // Nothing leads to it before its first answer, so it is not kept for long.
    expect(await store.listIdle(AT + 1, false, 10)).toHaveLength(1)
  })

  it('is refused for a window that was deleted meanwhile, and changes nothing', async () => {
    const tracker = trackerOn(store)
    const session = await tracker.named(by('t'), 'x')
    const before = session.record

    expect(await tracker.bind(session, { ...behind, baseWindowId: 'window-0' })).toBe('no_base')

    expect([session.record, session.ended]).toEqual([before, false])
    expect(await store.getSession('t', 'x')).toEqual(before)
  })
})
