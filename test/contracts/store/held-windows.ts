// The contract for held windows: a deleted window's content stays while sessions are based on it, and goes with the last of them, whoever ends,
// rebinds, or removes it, and whatever the order of a delete and a bind on two handles.

import { beforeEach, describe, expect, it } from 'vitest'
import type { DeletionRecord } from '../../../src/base/deletion-records.ts'
import type { SessionRecord } from '../../../src/base/records.ts'
import type { Store } from '../../../src/store/store.ts'
import { aBoundary, anOrder, aSession, aWindow, firstTen, noon, putTurn, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

const ids = [Uint32Array.of(1, 2, 3)]

/** A session bound to {@link aWindow} by its first thaw. */
function bound(change: Partial<SessionRecord> = {}): SessionRecord {
  return aSession({ id: 'bob', head: 1, baseWindow: 'draft', baseWindowId: 'window-1', ...change })
}

export function describeHeldWindows(subject: Subject): void {
  describe('held windows', () => {
    let store: Store
    beforeEach(async () => {
      store = subject().store
      await store.reserveWindow(aWindow({ state: 'frozen', thaws: 1, note: 'as agreed' }), someContent())
    })

    const bind = async (session = bound(), handle = store) => {
      await handle.getOrCreateSession(aSession({ id: session.id, lineage: `own-${session.id}` }))
      return await handle.bindSession(session, false)
    }
    const remove = (handle = store, change: Partial<DeletionRecord> = {}) =>
      handle.removeWindow(aWindow(), anOrder({ pin: 'pinned', ...change }), ids)
    const end = (session = bound(), id = `end-${session.id}`) =>
      store.removeSession(session, anOrder({ id, kind: 'session', name: session.id }), [])
    const held = (handle = store) => handle.getHeldWindow('acme', 'window-1')
    const content = (handle = store) => handle.getWindowContent('acme', 'draft', 'window-1')

    it('keep record, content and ids of a deleted window, under its id', async () => {
      await bind()

      const order = await remove()

      expect(order).toEqual(anOrder({ pin: 'pinned', heldWindow: 'window-1' }))
      expect(await store.getDeletion('acme', 'deletion-1')).toEqual(order)
      expect(await store.getWindow('acme', 'draft')).toBeUndefined()
      expect((await store.listWindows('acme', { limit: 10 })).items).toEqual([])
      expect((await store.holdersOf('acme', 'lineage-1')).windows).toEqual([])
      expect(await held()).toEqual({
        window: aWindow({ state: 'frozen', thaws: 1, note: 'as agreed' }),
        deletion: 'deletion-1',
      })
      expect(await content()).toEqual(someContent())
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual(ids)
      expect(await store.getHeldWindow('globex', 'window-1')).toBeUndefined()
    })

    it('are not made of a window without sessions', async () => {
      await store.getOrCreateSession(aSession())

      expect(await remove()).toEqual(anOrder({ pin: 'pinned' }))

      expect(await held()).toBeUndefined()
      expect(await content()).toBeUndefined()
    })

    it('keep a reused name’s windows apart', async () => {
      await bind()
      await remove()

      expect(await store.reserveWindow(aWindow({ id: 'window-2', thaws: 1 }), someContent('second'))).toBe('stored')
      await bind(bound({ id: 'eve', baseWindowId: 'window-2' }))

      expect(await content()).toEqual(someContent())
      expect(await store.getWindowContent('acme', 'draft', 'window-2')).toEqual(someContent('second'))
      const second = aWindow({ id: 'window-2' })
      expect(await store.removeWindow(second, anOrder({ id: 'deletion-2' }), [])).toMatchObject({
        heldWindow: 'window-2',
      })
      expect(await store.sessionsOn(second)).toEqual({ count: 1, sessions: ['eve'] })
      expect(await store.sessionsOn(aWindow())).toEqual({ count: 1, sessions: ['bob'] })
    })

    it('are released when the last session is removed, and make their order due', async () => {
      await bind()
      await bind(bound({ id: 'eve' }))
      await remove()
      await store.changeDeletion('acme', 'deletion-1', { nextTryAt: noon + 9_000, pin: 'none', tries: 3 })

      expect(await end()).toBe(true)
      expect(await content()).toEqual(someContent())
      expect(await store.listOpenDeletions(noon, firstTen)).toMatchObject([{ id: 'end-bob' }])
      expect(await end(bound({ id: 'eve' }))).toBe(true)

      expect([await held(), await content()]).toEqual([undefined, undefined])
      const order = anOrder({ pin: 'none', tries: 3 })
      expect(await store.getDeletion('acme', 'deletion-1')).toEqual(order)
      expect((await store.listOpenDeletions(noon, firstTen)).map(({ id }) => id)).toContain('deletion-1')
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual(ids)
    })

    it('are listed as due at their time while they are held', async () => {
      await bind()
      await remove()

      expect(await store.listOpenDeletions(noon, firstTen)).toEqual([
        anOrder({ pin: 'pinned', heldWindow: 'window-1' }),
      ])
      await store.changeDeletion('acme', 'deletion-1', { nextTryAt: noon + 9 })

      expect(await store.listOpenDeletions(noon, firstTen)).toEqual([])
      expect(await store.listOpenDeletions(noon + 9, firstTen)).toHaveLength(1)
    })

    it('stay when the session is not removed because it had a turn since', async () => {
      await bind()
      await remove()
      await putTurn(store, bound({ lastTurnAt: noon + 1, turns: 1 }))

      expect(await end()).toBe(false)

      expect(await content()).toEqual(someContent())
    })

    it('are released when their session is bound to another window', async () => {
      await bind()
      await remove()
      await store.reserveWindow(aWindow({ name: 'other', id: 'window-2' }), someContent('second'))

      expect(await store.bindSession(bound({ head: 2, baseWindow: 'other', baseWindowId: 'window-2' }), false)).toBe(
        'saved',
      )

      expect([await held(), await content()]).toEqual([undefined, undefined])
      expect((await store.getDeletion('acme', 'deletion-1'))?.heldWindow).toBeUndefined()
      expect(await store.sessionsOn(aWindow({ name: 'other', id: 'window-2', thaws: 1 }))).toEqual({
        count: 1,
        sessions: ['bob'],
      })
    })

    it('stay when their session is bound to them again', async () => {
      await bind()
      await remove()

      expect(await store.bindSession(bound({ head: 2 }), false)).toBe('saved')
      expect(await content()).toEqual(someContent())
    })

    it('are released by sessions that expire together', async () => {
      await bind(bound({ lineage: 'alone' }))
      await remove()

      const done = await store.removeSessions(
        [bound({ lineage: 'alone' })],
        anOrder({ id: 'expiry', kind: 'sessions' }),
      )

      expect(done?.removed).toHaveLength(1)
      expect(await held()).toBeUndefined()
    })

    it('are dropped with their tenant', async () => {
      await bind()
      await remove()

      await store.forgetTenant('acme')

      expect([await held(), await content()]).toEqual([undefined, undefined])
      expect((await store.getDeletion('acme', 'deletion-1'))?.heldWindow).toBeUndefined()
    })

    it('count their bytes, and neither as windows nor as pinned', async () => {
      await store.changeWindow('acme', 'draft', 'window-1', { pin: 'pinned' })
      await bind()
      await remove()

      expect(await store.usageOf('acme')).toEqual({ windows: 0, windowBytes: 100, sessions: 1, pinnedTokens: 0 })
      const next = aWindow({ id: 'window-2', bytes: 50 })
      expect(await store.reserveWindow(next, someContent(), { maxBytes: 149, maxWindows: 1 })).toBe('too_large')
      expect(await store.reserveWindow(next, someContent(), { maxBytes: 150, maxWindows: 1 })).toBe('stored')
      await end()
      expect((await store.usageOf('acme')).windowBytes).toBe(50)
    })

    it('can be read, and released, after a restart', async () => {
      await bind()
      await remove()

      const other = await subject().reopen()

      expect(await content(other)).toEqual(someContent())
      expect(await other.sessionsOn(aWindow())).toEqual({ count: 1, sessions: ['bob'] })
      await other.removeSession(bound(), anOrder({ id: 'end', kind: 'session' }), [])
      expect(await content()).toBeUndefined()
    })

    it('name up to 20 sessions, and count all', async () => {
      for (let n = 10; n < 35; n++) await bind(bound({ id: `s-${n}` }))

      const { count, sessions } = await store.sessionsOn(aWindow({ thaws: 1 }))

      expect(count).toBe(25)
      expect(sessions).toEqual(Array.from({ length: 20 }, (_, n) => `s-${n + 10}`))
    })

    it('name 20 of many sessions, and count all', async () => {
      for (let n = 100; n < 305; n++) await bind(bound({ id: `s-${n}` }))

      const { count, sessions } = await store.sessionsOn(aWindow({ thaws: 1 }))

      expect([count, new Set(sessions).size, sessions.every((id) => /^s-[1-3]\d\d$/.test(id))]).toEqual([205, 20, true])
    })

    it('are not needed for a base window that is gone: neither a bind nor a first turn is stored', async () => {
      await store.getOrCreateSession(aSession({ id: 'bob' }))
      await remove()

      expect(await store.bindSession(bound(), false)).toBe('no_base')
      expect(await store.bindSession(bound({ id: 'new' }), true)).toBe('no_base')
      const trace = { boundaries: [aBoundary({ sessionId: 'eve' })], keepBoundaries: 4 }
      expect(await store.saveTurn(bound({ id: 'eve' }), trace, true)).toBe('no_base')

      expect(await store.getSession('acme', 'bob')).toEqual(aSession({ id: 'bob' }))
      expect(await store.getSession('acme', 'eve')).toBeUndefined()
      expect((await store.findBoundaries('acme', ['digest-1'], noon)).size).toBe(0)
    })

    it('hold for a session whose thaw ended after the delete, if another session holds them', async () => {
      await bind()
      await remove()

      expect(await bind(bound({ id: 'eve' }))).toBe('saved')
      await end()
      expect(await content()).toEqual(someContent())
      await end(bound({ id: 'eve' }))
      expect(await content()).toBeUndefined()
    })

    it('refuse a window of the same name with another id', async () => {
      await remove()
      await store.reserveWindow(aWindow({ id: 'window-2' }), someContent('second'))

      expect(await bind()).toBe('no_base')
    })

    it('are released only when no session is based on them', async () => {
      await bind()
      await remove()

      await store.releaseWindow('acme', 'window-1')
      await store.releaseWindow('acme', 'nothing')

      expect(await content()).toEqual(someContent())
    })

    describe('on two handles at once', () => {
      let other: Store
      beforeEach(async () => {
        other = await subject().reopen()
      })

      /** Whatever came first, a stored session has its content, and content without a session is gone. */
      async function isConsistent(sessions: readonly string[]): Promise<string> {
        const stored = await Promise.all(sessions.map((id) => store.getSession('acme', id)))
        const standing = stored.filter((session) => session?.baseWindowId === 'window-1').length
        const there = (await content()) !== undefined
        expect(there).toBe(standing > 0)
        expect((await store.getDeletion('acme', 'deletion-1'))?.heldWindow).toBe(there ? 'window-1' : undefined)
        return `${standing} standing`
      }

      it('a delete and a thaw: the session is bound and the window held, or neither', async () => {
        await store.getOrCreateSession(aSession({ id: 'bob', lineage: 'own-bob' }))

        const [outcome, order] = await Promise.all([other.bindSession(bound(), false), remove()])

        expect(order?.heldWindow).toBe(outcome === 'saved' ? 'window-1' : undefined)
        expect(['saved', 'no_base']).toContain(outcome)
        await isConsistent(['bob'])
      })

      it('a delete and a first turn', async () => {
        const trace = { boundaries: [], keepBoundaries: 4 }

        const [outcome, order] = await Promise.all([other.saveTurn(bound({ turns: 1 }), trace, true), remove()])

        expect(order?.heldWindow).toBe(outcome === 'saved' ? 'window-1' : undefined)
        await isConsistent(['bob'])
      })

      it('a delete, a rebind, and two ends', async () => {
        await store.reserveWindow(aWindow({ name: 'other', id: 'window-2' }), someContent('second'))
        for (const id of ['bob', 'eve', 'joe']) await bind(bound({ id }))

        await Promise.all([
          remove(),
          other.bindSession(bound({ head: 2, baseWindow: 'other', baseWindowId: 'window-2' }), false),
          other.removeSession(bound({ id: 'eve' }), anOrder({ id: 'e', kind: 'session' }), []),
          store.removeSession(bound({ id: 'joe' }), anOrder({ id: 'j', kind: 'session' }), []),
        ])

        expect(await isConsistent(['bob', 'eve', 'joe'])).toBe('0 standing')
      })

      it('the ends of many sessions of a held window, and an expiry', async () => {
        const names = Array.from({ length: 12 }, (_, n) => `s-${n}`)
        for (const id of names) await bind(bound({ id }))
        await remove()

        await Promise.all(
          names
            .slice(1)
            .map((id, n) =>
              (n % 2 === 0 ? store : other).removeSession(
                bound({ id }),
                anOrder({ id: `of-${id}`, kind: 'session' }),
                [],
              ),
            ),
        )
        expect(await isConsistent(names)).toBe('1 standing')
        await Promise.all([
          other.removeSessions([bound({ id: 's-0' })], anOrder({ id: 'expiry', kind: 'sessions' })),
          store.removeSession(bound({ id: 's-0' }), anOrder({ id: 'asked', kind: 'session' }), []),
        ])

        expect(await isConsistent(names)).toBe('0 standing')
      })
    })
  })
}
