// The contract for deletes: a record and the order for its chunks are exchanged in one step, and orders are kept until they are done.

import { beforeEach, describe, expect, it } from 'vitest'
import type { DeletionRecord } from '../../../src/base/deletion-records.ts'
import type { Store } from '../../../src/store/store.ts'
import { aBoundary, anOrder, aSession, aTurn, aWindow, firstTen, noon, readAll, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

const sequences = [Uint32Array.of(1, 2, 3), Uint32Array.of(), Uint32Array.of(0xffffffff)]

export function describeDeletions(subject: Subject): void {
  describe('deletes', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    const fullOrder: DeletionRecord = anOrder({
      shared: 'user',
      spaces: [{ model: 'small', clientSalt: 'mine', kvEpoch: 1 }],
      spacesLost: true,
      pin: 'pinned',
      keys: { engineName: '/models/small', worldSize: 2, chunkSize: 256 },
    })

    it('remove a window with its content, and store the order with its ids', async () => {
      await store.reserveWindow(aWindow(), someContent())

      expect(await store.removeWindow(aWindow(), fullOrder, sequences)).toEqual(fullOrder)

      expect(await store.getWindow('acme', 'draft')).toBeUndefined()
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toBeUndefined()
      expect((await store.listWindows('acme', { limit: 10 })).items).toEqual([])
      expect(await store.getDeletion('acme', 'deletion-1')).toEqual(fullOrder)
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual(sequences)
    })

    it('may be orders only, while the owner of the chunks lives on', async () => {
      await store.addDeletion(fullOrder, sequences)

      expect(await store.listOpenDeletions(noon, firstTen)).toEqual([fullOrder])
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual(sequences)
    })

    it('free the name of a window', async () => {
      await store.reserveWindow(aWindow({ tags: ['old'] }), someContent('first'))
      await store.removeWindow(aWindow(), anOrder(), [])

      expect(await store.reserveWindow(aWindow({ id: 'window-2' }), someContent('second'))).toBe('stored')
      expect(await store.getWindowContent('acme', 'draft', 'window-2')).toEqual(someContent('second'))
      expect((await store.listWindows('acme', { limit: 10, tags: ['old'] })).items).toEqual([])
    })

    it('order nothing for a window that is gone, was replaced, or is another tenant’s', async () => {
      await store.reserveWindow(aWindow(), someContent())

      expect(await store.removeWindow(aWindow({ id: 'window-0' }), anOrder(), [])).toBeUndefined()
      expect(await store.removeWindow(aWindow({ name: 'other' }), anOrder(), [])).toBeUndefined()
      expect(await store.removeWindow(aWindow({ tenant: 'globex' }), anOrder({ tenant: 'globex' }), [])).toBeUndefined()

      expect(await store.getWindow('acme', 'draft')).toEqual(aWindow())
      expect(await store.getDeletion('acme', 'deletion-1')).toBeUndefined()
      expect(await store.getDeletion('globex', 'deletion-1')).toBeUndefined()
    })

    it('remove a session with boundaries, responses and its retained turn', async () => {
      const trace = {
        boundaries: [aBoundary()],
        keepBoundaries: 4,
        responses: [{ id: 'resp-1', expiresAt: noon + 10 }],
      }
      await store.saveTurn(aSession(), trace, true)
      await store.putRetained('acme', 'session-1', aTurn(), 10_000)
      const other = { ...trace, boundaries: [aBoundary({ digest: 'own', sessionId: 'two' })], responses: [] }
      await store.saveTurn(aSession({ id: 'two' }), other, true)

      expect(await store.removeSession(aSession(), anOrder({ kind: 'session' }), sequences)).toBe(true)

      expect(await store.getSession('acme', 'session-1')).toBeUndefined()
      expect([...(await store.findBoundaries('acme', ['digest-1', 'own'], noon)).keys()]).toEqual(['own'])
      expect(await store.findResponse('acme', 'resp-1', noon)).toBeUndefined()
      expect(await store.getRetained('acme', 'session-1')).toBeUndefined()
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual(sequences)
      expect((await store.listSessions('acme', { limit: 10 })).items.map(({ id }) => id)).toEqual(['two'])
    })

    it('keep a session that has had a turn since, or was restarted', async () => {
      await store.getOrCreateSession(aSession({ lastTurnAt: noon + 1 }))
      const order = anOrder({ kind: 'session' })

      expect(await store.removeSession(aSession({ lastTurnAt: noon }), order, [])).toBe(false)
      expect(await store.removeSession(aSession({ lastTurnAt: noon + 1, lineage: 'before' }), order, [])).toBe(false)

      expect(await store.getSession('acme', 'session-1')).toEqual(aSession({ lastTurnAt: noon + 1 }))
      expect(await store.getDeletion('acme', 'deletion-1')).toBeUndefined()
    })

    it('are ordered once when two handles end one session, or remove one window', async () => {
      const other = await subject().reopen()
      await store.getOrCreateSession(aSession())
      await store.reserveWindow(aWindow(), someContent())
      const handles = [store, other, store, other]

      const ended = await Promise.all(
        handles.map((handle, n) => handle.removeSession(aSession(), anOrder({ id: `s-${n}`, kind: 'session' }), [])),
      )
      const removed = await Promise.all(
        handles.map((handle, n) => handle.removeWindow(aWindow(), anOrder({ id: `w-${n}` }), [])),
      )

      const ids = (await store.listDeletions('acme', { limit: 10 })).items.map(({ id }) => id)
      expect(ids.sort()).toEqual([`s-${ended.indexOf(true)}`, `w-${removed.findIndex((order) => order !== undefined)}`])
    })

    it('are listed once each, newest first, for their tenant', async () => {
      for (const n of [1, 3, 2, 4, 5]) await order({ id: `d-${n}`, at: noon + n })
      await order({ tenant: 'globex', id: 'theirs', at: noon })

      const ids = (await readAll((page) => store.listDeletions('acme', page), 2)).map(({ id }) => id)

      expect(ids).toEqual(['d-5', 'd-4', 'd-3', 'd-2', 'd-1'])
      expect(await store.getDeletion('acme', 'theirs')).toBeUndefined()
    })

    it('are due at their time, for all tenants, those first that are due longest', async () => {
      await order({ id: 'later', at: noon, nextTryAt: noon + 5 })
      await order({ id: 'b', at: noon + 2, nextTryAt: noon })
      await order({ id: 'a', at: noon + 1, nextTryAt: noon, tenant: 'globex' })
      await order({ id: 'done', at: noon, nextTryAt: noon })
      await store.changeDeletion('acme', 'done', { state: 'done' })

      const due = async (now: number) => (await store.listOpenDeletions(now, firstTen)).map(({ id }) => id)

      expect(await due(noon)).toEqual(['b', 'a'])
      expect(await due(noon + 5)).toEqual(['b', 'later', 'a'])
    })

    it('of one tenant do not hide those of another', async () => {
      for (const [n, tenant] of ['ann', 'ann', 'ann', 'bob', 'cat', 'cat'].entries()) {
        await order({ id: `${tenant}-${n}`, tenant, nextTryAt: noon - 9 + n })
      }
      const listed = async (after: string, perTenant: number, enough: number) =>
        (await store.listOpenDeletions(noon, { after, perTenant, enough })).map(({ id }) => id)

      expect(await listed('', 2, 10)).toEqual(['ann-0', 'ann-1', 'bob-3', 'cat-4', 'cat-5'])
      expect(await listed('', 2, 3)).toEqual(['ann-0', 'ann-1', 'bob-3'])
      expect(await listed('bob', 1, 3)).toEqual(['cat-4'])
      expect(await listed('cat', 2, 10)).toEqual([])
    })

    it('keep the result of each attempt, and drop the ids when done', async () => {
      await order({}, sequences)
      const receipt = {
        deletedChunks: 3,
        residualChunks: null,
        keptChunks: 0,
        keptFor: [],
        unpinned: null,
        lineageRetired: true,
        ms: { delete: 1.5 },
        warnings: ['one server did not answer'],
      }

      expect(await store.changeDeletion('acme', 'deletion-1', { tries: 1, nextTryAt: noon + 9 })).toBe(true)
      expect(await store.getDeletion('acme', 'deletion-1')).toEqual(anOrder({ tries: 1, nextTryAt: noon + 9 }))
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual(sequences)
      expect(await store.listOpenDeletions(noon, firstTen)).toEqual([])
      await store.changeDeletion('acme', 'deletion-1', { state: 'done', pin: 'none', receipt })

      const done = anOrder({ tries: 1, nextTryAt: noon + 9, state: 'done', pin: 'none', receipt })
      expect(await store.getDeletion('acme', 'deletion-1')).toEqual(done)
      expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual([])
      expect(await store.changeDeletion('acme', 'nothing', { tries: 1 })).toBe(false)
      expect(await store.changeDeletion('globex', 'deletion-1', { tries: 7 })).toBe(false)
    })

    it('are dropped when done and old, limited to the requested number', async () => {
      for (const id of ['a', 'b', 'c', 'new', 'open']) {
        await order({ id, at: id === 'new' ? noon : noon - 1 })
        if (id !== 'open') await store.changeDeletion('acme', id, { state: 'done' })
      }

      expect([await store.dropDeletions(noon, 2), await store.dropDeletions(noon, 2)]).toEqual([2, 1])
      expect(await store.dropDeletions(noon, 2)).toBe(0)
      const left = (await store.listDeletions('acme', { limit: 10 })).items.map(({ id }) => id)
      expect(left.sort()).toEqual(['new', 'open'])
    })

    /** An order needs something to remove with it. */
    async function order(change: Partial<DeletionRecord>, ids: readonly Uint32Array[] = []): Promise<void> {
      const record = anOrder(change)
      const session = aSession({ tenant: record.tenant, id: `of-${record.id}` })
      await store.getOrCreateSession(session)
      await store.removeSession(session, record, ids)
    }
  })
}
