// The contract for sessions: one lineage for many callers, heads, binding, ends, and idle sessions.

import { beforeEach, describe, expect, it } from 'vitest'
import type { SessionRecord } from '../../../src/base/records.ts'
import type { Store } from '../../../src/store/store.ts'
import { aBoundary, anOrder, aSession, aWindow, fullSession, noon, putTurn, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describeSessions(subject: Subject): void {
  describe('sessions', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('returns undefined for an unknown session', async () => {
      expect(await store.getSession('acme', 'nobody')).toBeUndefined()
    })

    it('returns one lineage to many callers on two handles', async () => {
      const other = await subject().reopen()

      const sessions = await Promise.all(
        Array.from({ length: 60 }, (_, n) =>
          (n % 2 === 0 ? store : other).getOrCreateSession(aSession({ lineage: `lineage-${n}` })),
        ),
      )

      const stored = await other.getSession('acme', 'session-1')
      expect(new Set(sessions.map((session) => session.lineage))).toEqual(new Set([stored?.lineage]))
    })

    it('returns the stored session unchanged', async () => {
      const stored = aSession({ lineage: 'first', turns: 3 })
      await putTurn(store, stored, [], 4)

      const answer = await store.getOrCreateSession(aSession({ lineage: 'second' }))

      expect(answer).toEqual(stored)
    })

    it('keeps every field of a session', async () => {
      await store.reserveWindow(aWindow(), someContent())
      const full: SessionRecord = fullSession()

      await putTurn(store, full, [], 4)

      expect(await store.getSession('acme', 'session-1')).toEqual(full)
    })

    it('drops a field that the next turn no longer has', async () => {
      await putTurn(store, aSession({ baseWindow: 'draft' }), [], 4)
      await putTurn(store, aSession(), [], 4)

      expect(await store.getSession('acme', 'session-1')).toEqual(aSession())
    })

    it('separates tenants: the same id is another session', async () => {
      await store.getOrCreateSession(aSession({ lineage: 'of-acme' }))
      await store.getOrCreateSession(aSession({ tenant: 'globex', lineage: 'of-globex' }))

      expect((await store.getSession('acme', 'session-1'))?.lineage).toBe('of-acme')
      expect((await store.getSession('globex', 'session-1'))?.lineage).toBe('of-globex')
      expect((await store.listSessions('globex', { limit: 10 })).items.map((s) => s.lineage)).toEqual(['of-globex'])
    })

    it('does not confuse a tenant and an id that are equal when joined', async () => {
      await store.getOrCreateSession(aSession({ tenant: 'a:b', id: 'c' }))

      expect(await store.getSession('a', 'b:c')).toBeUndefined()
      expect((await store.listSessions('a', { limit: 10 })).items).toEqual([])
    })

    it('lists sessions by their last turn, newest first', async () => {
      await putTurn(store, aSession({ id: 'old', lastTurnAt: noon }), [], 4)
      await putTurn(store, aSession({ id: 'new', lastTurnAt: noon + 2 }), [], 4)
      await putTurn(store, aSession({ id: 'mid', lastTurnAt: noon + 1 }), [], 4)
      await putTurn(store, aSession({ id: 'old', lastTurnAt: noon + 3 }), [], 4)

      const page = await store.listSessions('acme', { limit: 10 })

      expect(page.items.map((session) => session.id)).toEqual(['old', 'new', 'mid'])
      expect(page.nextCursor).toBeUndefined()
    })

    it('stores a turn with the current head, and nothing of one that a thaw has overtaken', async () => {
      await store.reserveWindow(aWindow(), someContent())
      await putTurn(store, aSession())
      const thawed = aSession({ head: 1, lineage: 'of-the-window', baseWindow: 'draft', baseWindowId: 'window-1' })
      expect(await store.bindSession(thawed, false)).toBe('saved')

      const late = aSession({ turns: 5 })
      const outcome = await store.saveTurn(late, { boundaries: [aBoundary()], keepBoundaries: 4 }, false)

      expect(outcome).toBe('moved')
      expect(await store.getSession('acme', 'session-1')).toEqual(thawed)
      expect((await store.findBoundaries('acme', ['digest-1'], noon)).size).toBe(0)
      expect(await putTurn(store, { ...thawed, turns: 1 })).toBe('saved')
    })

    it('stores no turn of a session that was ended, nor over one restarted under its name', async () => {
      await putTurn(store, aSession())
      await store.removeSession(aSession(), anOrder({ kind: 'session' }), [])
      const trace = { boundaries: [aBoundary()], keepBoundaries: 4 }

      expect(await store.saveTurn(aSession({ turns: 1 }), trace, false)).toBe('gone')
      await store.getOrCreateSession(aSession({ lineage: 'another' }))
      expect(await store.saveTurn(aSession({ turns: 1 }), trace, false)).toBe('gone')

      expect(await store.getSession('acme', 'session-1')).toEqual(aSession({ lineage: 'another' }))
      expect((await store.findBoundaries('acme', ['digest-1'], noon)).size).toBe(0)
    })

    it('stores the turns of a bound session that had some before', async () => {
      for (const turns of [1, 2, 3]) await putTurn(store, aSession({ turns }))
      const bound = aSession({ turns: 3, head: 1, lineage: 'of-the-window' })
      expect(await store.bindSession(bound, false)).toBe('saved')

      const trace = { boundaries: [aBoundary()], keepBoundaries: 4 }
      expect(await store.saveTurn({ ...bound, turns: 4 }, trace, false)).toBe('saved')

      expect(await store.getSession('acme', 'session-1')).toEqual({ ...bound, turns: 4 })
    })

    it('lets one of two thaws into a session win, on two handles', async () => {
      const other = await subject().reopen()
      await putTurn(store, aSession())

      const outcomes = await Promise.all(
        [store, other, store, other].map((handle, n) =>
          handle.bindSession(aSession({ head: 1, lineage: `window-${n}` }), false),
        ),
      )

      const winner = outcomes.indexOf('saved')
      expect([...outcomes].sort()).toEqual(['moved', 'moved', 'moved', 'saved'])
      expect((await other.getSession('acme', 'session-1'))?.lineage).toBe(`window-${winner}`)
    })

    it('binds a session that was never stored, and none that is gone', async () => {
      const bound = aSession({ head: 1 })
      expect(await store.bindSession(bound, false)).toBe('gone')
      expect(await store.getSession('acme', 'session-1')).toBeUndefined()

      expect(await store.bindSession(bound, true)).toBe('saved')
      expect(await store.getSession('acme', 'session-1')).toEqual(bound)
    })

    it('stores nothing under a retired lineage', async () => {
      expect(await store.retireLineage('acme', 'lineage-1')).toBe(true)
      const trace = { boundaries: [aBoundary()], keepBoundaries: 4 }

      expect(await store.saveTurn(aSession(), trace, true)).toBe('gone')
      expect(await store.bindSession(aSession({ head: 1 }), true)).toBe('gone')
      await expect(store.getOrCreateSession(aSession())).rejects.toMatchObject({ code: 'BUSY' })
      expect(await store.getSession('acme', 'session-1')).toBeUndefined()
      expect((await store.findBoundaries('acme', ['digest-1'], noon)).size).toBe(0)

      await putTurn(store, aSession({ lineage: 'lineage-2' }))
      expect(await store.bindSession(aSession({ head: 1 }), false)).toBe('gone')
      expect(await store.getSession('acme', 'session-1')).toEqual(aSession({ lineage: 'lineage-2' }))
    })

    it('keeps the KV spaces that turns of two processes reported, each once', async () => {
      const [one, two, both] = ['small', 'large', 'common'].map((model) => ({ model, kvEpoch: 0 }))
      if (one === undefined || two === undefined || both === undefined) throw new Error('three spaces')
      await putTurn(store, aSession({ spaces: [both, one] }))

      await store.saveTurn(aSession({ spaces: [both, two] }), { boundaries: [], keepBoundaries: 4 }, false)

      expect((await store.getSession('acme', 'session-1'))?.spaces).toEqual([both, one, two])
    })

    it('keeps the newer freeze and cut, whichever process stores its turn last', async () => {
      const save = (session: SessionRecord) => store.saveTurn(session, { boundaries: [], keepBoundaries: 4 }, false)
      const first = { auto: { count: 1, window: 'auto.1', at: noon } }
      const auto = { count: 2, window: 'auto.2', at: noon + 5 }
      const rollover = { cut: 'c', window: 'auto.2', messages: 8, at: noon + 5 }
      await putTurn(store, aSession(first))
      await save(aSession({ ...first, auto, rollover }))

      await save(aSession({ ...first, turns: 1 }))

      expect(await store.getSession('acme', 'session-1')).toEqual(aSession({ turns: 1, auto, rollover }))
    })

    it('removes a cut that the newest freeze does not have', async () => {
      const auto = { count: 2, window: 'auto.2', at: noon }
      const rollover = { cut: 'c', window: 'auto.2', messages: 8, at: noon }
      await putTurn(store, aSession({ auto, rollover }))

      await putTurn(store, aSession({ auto }))

      expect(await store.getSession('acme', 'session-1')).toEqual(aSession({ auto }))
    })

    it('reports that some spaces of a session with too many are lost', async () => {
      const spaces = (from: number) => Array.from({ length: 40 }, (_, n) => ({ model: `m-${from + n}`, kvEpoch: 0 }))
      await putTurn(store, aSession({ spaces: spaces(0) }))

      await store.saveTurn(aSession({ spaces: spaces(40) }), { boundaries: [], keepBoundaries: 4 }, false)

      const stored = await store.getSession('acme', 'session-1')
      expect(stored).toMatchObject({ spacesLost: true })
      expect(stored?.spaces.map(({ model }) => model)).toEqual(Array.from({ length: 64 }, (_, n) => `m-${n + 16}`))
    })

    describe('that are idle', () => {
      const ids = async (lasting: boolean, atMost = 10) =>
        (await store.listIdle(noon, lasting, atMost)).map(({ id }) => id)

      it('are listed for all tenants, longest idle first, limited to the requested number', async () => {
        await putTurn(store, aSession({ id: 'b', lastTurnAt: noon - 2 }))
        await putTurn(store, aSession({ id: 'a', lastTurnAt: noon - 3, tenant: 'globex' }))
        await putTurn(store, aSession({ id: 'c', lastTurnAt: noon - 1 }))
        await putTurn(store, aSession({ id: 'busy', lastTurnAt: noon }))

        expect(await ids(true)).toEqual(['a', 'b', 'c'])
        expect(await ids(true, 2)).toEqual(['a', 'b'])
        expect((await store.listIdle(noon, true, 10, noon - 2)).map(({ id }) => id)).toEqual(['c'])
      })

      it('are listed separately if a name or a window keeps them', async () => {
        const at = { lastTurnAt: noon - 1, named: false }
        await store.getOrCreateSession(aSession({ ...at, id: 'named', named: true }))
        await putTurn(store, aSession({ ...at, id: 'behind', baseWindow: 'draft', lastTurnAt: noon - 2, turns: 1 }))
        await putTurn(store, aSession({ ...at, id: 'unanswered', baseWindow: 'draft', lastTurnAt: noon - 3 }))
        await putTurn(store, aSession({ ...at, id: 'passing' }))

        expect(await ids(true)).toEqual(['behind', 'named'])
        expect(await ids(false)).toEqual(['unanswered', 'passing'])
      })

      it('change lists with a thaw, and leave them with their end', async () => {
        await store.reserveWindow(aWindow(), someContent())
        const passing = aSession({ lastTurnAt: noon - 1, named: false, turns: 1 })
        await putTurn(store, passing)
        const thawed = { ...passing, head: 1, lineage: 'of-the-window', baseWindow: 'draft', baseWindowId: 'window-1' }

        expect(await store.bindSession(thawed, false)).toBe('saved')
        expect([await ids(false), await ids(true)]).toEqual([[], ['session-1']])

        await store.removeSession(thawed, anOrder({ kind: 'session' }), [])
        expect([await ids(false), await ids(true)]).toEqual([[], []])
      })
    })
  })
}
