// The contract for sessions with a single turn: a store may keep them differently, but that must not be visible.

import { beforeEach, describe, expect, it } from 'vitest'
import type { SessionRecord } from '../../../src/base/records.ts'
import type { Store } from '../../../src/store/store.ts'
import { aBoundary, anOrder, aSession, aTurn, aWindow, noon, readAll, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

/** As cwm creates them: ids and digests of random bits. */
const ofBytes = (n: number, bytes: number) => Buffer.alloc(bytes, n).toString('base64url')
const digestOf = (n: number) => ofBytes(n, 32)

function begun(n: number, change: Partial<SessionRecord> = {}): SessionRecord {
  return aSession({
    id: `s-${ofBytes(n, 16)}`,
    named: false,
    lineage: ofBytes(n + 100, 16),
    createdAt: noon + n - 40,
    lastTurnAt: noon + n,
    turns: 1,
    model: 'small',
    dialect: 'chat',
    spaces: [{ model: 'small', kvEpoch: 0 }],
    usage: { promptTokens: 1_000, completionTokens: n, totalTokens: 1_000 + n },
    limit: 4_096,
    ...change,
  })
}

export function describeFirstTurns(subject: Subject): void {
  describe('sessions after their first turn', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    const save = (session: SessionRecord, digests: readonly string[], isNew = true, keepBoundaries = 4) => {
      const { id, tenant, lastTurnAt } = session
      const boundaries = digests.map((digest) =>
        aBoundary({ digest, tenant, sessionId: id, rank: 9, expiresAt: lastTurnAt + 1_000 }),
      )
      return store.saveTurn(session, { boundaries, keepBoundaries }, isNew)
    }

    it('keep every field, with and without usage, and with several boundaries', async () => {
      const { usage: _usage, ...bare } = begun(2)
      const sessions = [begun(1), bare, begun(3, { usage: { ...begun(3).usage, cachedTokens: 0 } as never })]
      for (const [n, session] of sessions.entries()) expect(await save(session, [digestOf(n), `d-${n}`])).toBe('saved')

      for (const [n, session] of sessions.entries()) {
        expect(await store.getSession('acme', session.id)).toEqual(session)
        const hits = await store.findBoundaries('acme', [digestOf(n), `d-${n}`], noon)
        expect([...hits.values()]).toEqual([{ sessionId: session.id }, { sessionId: session.id }])
      }
    })

    it('are listed, counted, and found idle among others', async () => {
      const sessions = [begun(1), begun(2, { id: 'plain', baseWindow: 'draft' }), begun(3), begun(4, { named: true })]
      for (const [n, session] of sessions.entries()) await save(session, [digestOf(n)])

      expect(await readAll((page) => store.listSessions('acme', page), 1)).toEqual(sessions.toReversed())
      expect((await store.listSessions('globex', { limit: 10 })).items).toEqual([])
      expect((await store.usageOf('acme')).sessions).toBe(4)
      expect((await store.usageOfAll()).sessions).toBe(4)
      expect(await store.listTenants('', 10)).toEqual(['acme'])
      expect(await store.listIdle(noon + 9, false, 10)).toEqual([sessions[0], sessions[2]])
      expect(await store.listIdle(noon + 9, true, 10)).toEqual([sessions[1], sessions[3]])
      expect(await store.listIdle(noon + 3, false, 10)).toEqual([sessions[0]])
      const [, , third] = sessions
      expect(await store.listIdle(noon + 9, false, 10, (third?.lastTurnAt ?? 0) - 1)).toEqual([third])
      expect(await store.listIdle(noon + 9, false, 10, third?.lastTurnAt)).toEqual([])
    })

    it('hold their lineage until they are removed', async () => {
      const session = begun(1)
      await save(session, [digestOf(1)])
      expect((await store.holdersOf('acme', session.lineage)).sessions).toBe(1)
      expect(await store.retireLineage('acme', session.lineage)).toBe(false)

      expect(await store.removeSession({ ...session, lastTurnAt: noon }, anOrder({ kind: 'session' }), [])).toBe(false)
      expect(await store.removeSession(session, anOrder({ kind: 'session' }), [])).toBe(true)

      expect(await store.retireLineage('acme', session.lineage)).toBe(true)
      expect(await store.getSession('acme', session.id)).toBeUndefined()
      expect((await store.findBoundaries('acme', [digestOf(1)], noon)).size).toBe(0)
      expect(await save(session, [digestOf(1)])).toBe('gone')
      expect(await store.usageOfAll()).toMatchObject({ sessions: 0 })
    })

    it('continue with their head, lineage, spaces and boundaries', async () => {
      await save(begun(1), [digestOf(1)])
      const next = begun(1, { turns: 2, lastTurnAt: noon + 50, spaces: [{ model: 'large', kvEpoch: 0 }] })

      expect(await save({ ...next, head: 1 }, ['x'], false)).toBe('moved')
      expect(await save({ ...next, lineage: 'other' }, ['x'], false)).toBe('gone')
      expect(await save(next, [digestOf(2)], false)).toBe('saved')

      const spaces = [...begun(1).spaces, ...next.spaces]
      expect(await store.getSession('acme', next.id)).toEqual({ ...next, spaces })
      const hits = await store.findBoundaries('acme', [digestOf(1), digestOf(2), 'x'], noon)
      expect([...hits.keys()].sort()).toEqual([digestOf(1), digestOf(2)].sort())
      expect((await store.usageOf('acme')).sessions).toBe(1)
    })

    it('make a shared history ambiguous, and release it once it has expired', async () => {
      await save(begun(1), [digestOf(1), digestOf(2)])
      await save(begun(2), [digestOf(2), digestOf(3)])
      await save(begun(3, { lastTurnAt: noon + 5_000 }), [digestOf(1)])

      const hits = await store.findBoundaries('acme', [digestOf(1), digestOf(2), digestOf(3)], noon)
      expect(hits.get(digestOf(1))).toEqual({ sessionId: begun(3).id })
      expect(hits.get(digestOf(2))).toBe('ambiguous')
      expect(hits.get(digestOf(3))).toEqual({ sessionId: begun(2).id })
    })

    it('can be bound to a window, frozen from, and retained', async () => {
      await save(begun(1), [digestOf(1)])
      await store.putRetained('acme', begun(1).id, aTurn(), 1_000_000)
      const window = aWindow({ sessionId: begun(1).id, lineage: begun(1).lineage })
      expect(await store.reserveWindow(window, someContent())).toBe('stored')
      expect(await store.getRetained('acme', begun(1).id)).toEqual(aTurn())
      const bound = begun(1, { head: 1, lineage: 'of-the-window', baseWindow: 'draft', baseWindowId: 'window-1' })

      expect(await store.bindSession(bound, false)).toBe('saved')

      expect(await store.getSession('acme', bound.id)).toEqual(bound)
      expect(await store.holdersOf('acme', begun(1).lineage)).toEqual({ sessions: 0, windows: [window] })
      expect((await store.holdersOf('acme', 'of-the-window')).sessions).toBe(1)
    })

    it('survive a restart, and lose their histories with their tenant', async () => {
      await save(begun(1), [digestOf(1)])
      const other = await subject().reopen()
      expect(await other.getSession('acme', begun(1).id)).toEqual(begun(1))
      expect((await other.findBoundaries('acme', [digestOf(1)], noon)).size).toBe(1)

      await other.forgetTenant('acme')

      expect((await store.findBoundaries('acme', [digestOf(1)], noon)).size).toBe(0)
      expect(await store.getSession('acme', begun(1).id)).toEqual(begun(1))
    })

    it('are removed together with one order, except those that continued, were removed, or share their lineage', async () => {
      const [one, two, wentOn, bound, frozen, gone] = [begun(1), begun(2), begun(3), begun(4), begun(5), begun(6)]
      const sessions = [one, two, wentOn, bound, frozen, gone]
      for (const [n, session] of sessions.entries()) await save(session, [digestOf(n)])
      await store.putRetained('acme', one.id, aTurn(), 1_000_000)
      await save({ ...wentOn, turns: 2, lastTurnAt: noon + 99 }, [], false)
      await store.bindSession({ ...bound, head: 1, lineage: 'of-a-window' }, false)
      await store.reserveWindow(aWindow({ lineage: frozen.lineage }), someContent())
      await store.removeSession(gone, anOrder({ id: 'single', kind: 'session' }), [])

      const done = await store.removeSessions(sessions, anOrder({ kind: 'sessions', spaces: one.spaces }))

      const lineages = [one.lineage, two.lineage]
      const order = anOrder({ kind: 'sessions', name: '2', lineage: one.lineage, lineages, spaces: one.spaces })
      expect(done).toEqual({ removed: [one, two], order })
      expect(await store.getDeletion('acme', 'deletion-1')).toEqual(order)
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual([])
      expect(await store.getRetained('acme', one.id)).toBeUndefined()
      const left = (await store.listSessions('acme', { limit: 10 })).items.map(({ id }) => id)
      expect(left).toEqual([wentOn.id, frozen.id, bound.id])
      expect([...(await store.findBoundaries('acme', [0, 1, 2, 3, 4].map(digestOf), noon)).keys()].sort()).toEqual(
        [2, 3, 4].map(digestOf).sort(),
      )
      expect(await store.usageOf('acme')).toMatchObject({ sessions: 3 })
      expect(await store.retireLineages('acme', [...lineages, frozen.lineage])).toEqual(lineages)
      expect(await store.isRetired('acme', one.lineage)).toBe(true)
    })

    it('stay, without an order, if none can be removed', async () => {
      await save(begun(1), [digestOf(1)])

      expect(
        await store.removeSessions([{ ...begun(1), lastTurnAt: noon }], anOrder({ kind: 'sessions' })),
      ).toBeUndefined()

      expect(await store.getSession('acme', begun(1).id)).toEqual(begun(1))
      expect(await store.getDeletion('acme', 'deletion-1')).toBeUndefined()
    })

    it('are removed completely over several calls, however many there are', async () => {
      let rest = Array.from({ length: 120 }, (_, n) => begun(n, { id: `s-${n}`, lineage: `l-${n}` }))
      await Promise.all(rest.map((session) => save(session, [])))

      for (let n = 0; rest.length > 0; n++) {
        const done = await store.removeSessions(rest, anOrder({ id: `deletion-${n}`, kind: 'sessions' }))
        expect(done?.order.name).toBe(String(done?.removed.length))
        rest = rest.filter((session) => done?.removed.includes(session) === false)
      }

      expect((await store.usageOf('acme')).sessions).toBe(0)
    })

    it('have an order that forgets their lineages when it is done', async () => {
      await save(begun(1), [])
      await store.removeSessions([begun(1)], anOrder({ kind: 'sessions' }))

      await store.changeDeletion('acme', 'deletion-1', { state: 'done', lineages: [] })

      expect(await store.getDeletion('acme', 'deletion-1')).toMatchObject({ state: 'done', name: '1', lineages: [] })
    })
  })
}
