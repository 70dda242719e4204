// The contract from opening to closing.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import {
  aBoundary,
  anEntry,
  anOrder,
  aSession,
  aTurn,
  aWindow,
  firstTen,
  fullReceipt,
  noon,
  putTurn,
  someContent,
} from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describeMeta(subject: Subject): void {
  describe('meta', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('keeps the first value of a key and returns it to every later caller', async () => {
      const first = await store.claimMeta('check', 'one')
      const second = await store.claimMeta('check', 'two')

      expect([first, second]).toEqual(['one', 'one'])
    })

    it('answers a ping, and stores nothing for it', async () => {
      await store.ping()

      expect(await store.usageOfAll()).toMatchObject({ sessions: 0, windows: 0 })
    })

    it('lets one of many callers on two handles win a key', async () => {
      const other = await subject().reopen()

      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? store : other).claimMeta('check', `value-${n}`)),
      )

      expect(new Set(answers).size).toBe(1)
    })
  })
}

/** What other processes see of it: src/store/redis/redis-changes.test.ts. */
export function describeUses(subject: Subject): void {
  describe('uses', () => {
    it('of this process are not those of another, and leave nothing behind', async () => {
      const { store } = subject()
      await store.enterUse('window-1', 60_000)
      await store.enterUse('window-1', 60_000)
      const during = await store.isUsedElsewhere('window-1')
      await store.leaveUse('window-1')
      await store.leaveUse('nothing')

      expect([during, await store.isUsedElsewhere('window-1')]).toEqual([false, false])
    })
  })
}

export function describeClosing(subject: Subject): void {
  describe('closing', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('keeps everything for the next start', async () => {
      await store.claimMeta('check', 'one')
      await putTurn(store, aSession({ turns: 2 }), [aBoundary()], 4)
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ digest: 'own', sessionId: 'two' })], 4)
      await store.reserveWindow(aWindow(), someContent())
      await store.changeWindow('acme', 'draft', 'window-1', { state: 'frozen', receipt: fullReceipt })
      await store.close()

      const next = await subject().reopen()

      expect(await next.claimMeta('check', 'two')).toBe('one')
      expect(await next.getSession('acme', 'session-1')).toEqual(aSession({ turns: 2 }))
      expect(await next.findBoundaries('acme', ['own'], noon)).toEqual(new Map([['own', { sessionId: 'two' }]]))
      expect(await next.getWindow('acme', 'draft')).toEqual(aWindow({ state: 'frozen', receipt: fullReceipt }))
      expect(await next.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
    })

    it('finishes pending calls before it closes', async () => {
      const asked = store.saveTurn(aSession(), { boundaries: [aBoundary()], keepBoundaries: 4 }, true)
      await store.close()

      await expect(asked).resolves.toBe('saved')
      expect(await (await subject().reopen()).getSession('acme', 'session-1')).toEqual(aSession())
    })

    it('keeps other handles open', async () => {
      const other = await subject().reopen()
      await store.close()

      await other.getOrCreateSession(aSession())

      expect(await other.getSession('acme', 'session-1')).toEqual(aSession())
    })

    it('is idempotent', async () => {
      await store.close()

      await expect(store.close()).resolves.toBeUndefined()
    })

    it('rejects every later call with STORE_UNAVAILABLE', async () => {
      await store.close()

      const page = { limit: 1 }
      const calls: readonly (() => Promise<unknown>)[] = [
        () => store.ping(),
        () => store.claimMeta('check', 'one'),
        () => store.getOrCreateSession(aSession()),
        () => store.getSession('acme', 'session-1'),
        () => store.listSessions('acme', page),
        () => store.saveTurn(aSession(), { boundaries: [], keepBoundaries: 1 }, true),
        () => store.bindSession(aSession({ head: 1 }), true),
        () => store.findResponse('acme', 'resp-1', noon),
        () => store.listIdle(noon, true, 1),
        () => store.acquireLease('a', 1),
        () => store.releaseLease('a'),
        () => store.enterUse('a', 1),
        () => store.leaveUse('a'),
        () => store.isUsedElsewhere('a'),
        () => store.removeSession(aSession(), anOrder(), []),
        () => store.claimLineage('acme', 'user', 'lineage-1'),
        () => store.holdersOf('acme', 'lineage-1'),
        () => store.retireLineage('acme', 'lineage-1'),
        () => store.isRetired('acme', 'lineage-1'),
        () => store.findBoundaries('acme', ['digest-1'], noon),
        () => store.dropExpired(noon, 1),
        () => store.reserveWindow(aWindow(), someContent()),
        () => store.changeWindow('acme', 'draft', 'window-1', { state: 'failed' }),
        () => store.getWindow('acme', 'draft'),
        () => store.getWindowContent('acme', 'draft', 'window-1'),
        () => store.listWindows('acme', page),
        () => store.listForRepair(['freezing'], page),
        () => store.removeWindow(aWindow(), anOrder(), []),
        () => store.getDeletion('acme', 'deletion-1'),
        () => store.getDeletionSequences('acme', 'deletion-1'),
        () => store.listDeletions('acme', page),
        () => store.listOpenDeletions(noon, firstTen),
        () => store.changeDeletion('acme', 'deletion-1', { tries: 1 }),
        () => store.dropDeletions(noon, 1),
        () => store.usageOf('acme'),
        () => store.getOverrides('acme'),
        () => store.putOverrides('acme', { freezeAt: 0.5 }),
        () => store.forgetTenant('acme'),
        () => store.appendAudit(anEntry(), 10),
        () => store.listAudit(undefined, page),
        () => store.putRetained('acme', 'session-1', aTurn(), 1000),
        () => store.getRetained('acme', 'session-1'),
      ]

      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    })
  })
}
