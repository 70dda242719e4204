// The contract for pages: nothing twice, nothing skipped, and only the list's own cursors.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import type { Page, PageRequest } from '../../../src/store/store-values.ts'
import { aBoundary, aSession, aWindow, noon, putTurn, readAll, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describePaging(subject: Subject): void {
  describe('paging', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('returns each window once while others are inserted, even with equal times', async () => {
      const names = Array.from({ length: 25 }, (_, n) => `window-${n}`)
      for (const [n, name] of names.entries()) {
        await store.reserveWindow(aWindow({ name, createdAt: noon + Math.floor(n / 10) }), someContent())
      }

      let inserted = 0
      const seen = await readAll(async (page) => {
        const answer = await store.listWindows('acme', page)
        await store.reserveWindow(aWindow({ name: `late-${inserted++}`, createdAt: noon + 100 }), someContent())
        return answer
      }, 7)

      expect(seen.map((window) => window.name).sort()).toEqual([...names].sort())
      expect(seen.map((window) => window.createdAt)).toEqual(seen.map((w) => w.createdAt).sort((a, b) => b - a))
    })

    it('returns each session once while others are inserted, even with equal times', async () => {
      const ids = Array.from({ length: 25 }, (_, n) => `session-${n}`)
      for (const [n, id] of ids.entries()) {
        await store.getOrCreateSession(aSession({ id, lastTurnAt: noon + Math.floor(n / 10) }))
      }

      let inserted = 0
      const seen = await readAll(async (page) => {
        const answer = await store.listSessions('acme', page)
        await store.getOrCreateSession(aSession({ id: `late-${inserted++}`, lastTurnAt: noon + 100 }))
        return answer
      }, 7)

      expect(seen.map((session) => session.id).sort()).toEqual([...ids].sort())
    })

    it('returns the pages before, up to the first, with the number of items before each', async () => {
      for (let n = 0; n < 10; n++) {
        await store.getOrCreateSession(aSession({ id: `session-${n}`, lastTurnAt: noon + Math.floor(n / 3) }))
        // The store may keep a session of one turn in another form.
        const other = aSession({ id: `other-${n}`, named: false, lineage: `l-${n}`, turns: 1, lastTurnAt: noon + n })
        await putTurn(store, other, [aBoundary({ digest: `digest-${n}`, sessionId: other.id })])
        await store.reserveWindow(aWindow({ name: `window-${n}`, createdAt: noon + Math.floor(n / 3) }), someContent())
      }
      const lists: readonly ((page: PageRequest) => Promise<Page<object>>)[] = [
        (page) => store.listSessions('acme', page),
        (page) => store.listWindows('acme', page),
        (page) => store.listWindows('acme', { ...page, sort: 'name', order: 'asc', text: 'window' }),
      ]
      for (const list of lists) {
        const pages = [await list({ limit: 4 })]
        for (let next = pages[0]?.nextCursor; next !== undefined; next = pages.at(-1)?.nextCursor) {
          pages.push(await list({ limit: 4, cursor: next }))
        }
        const back = [pages.at(-1)]
        for (let cursor = back[0]?.previousCursor; cursor !== undefined; cursor = back[0]?.previousCursor) {
          back.unshift(await list({ limit: 4, cursor }))
        }

        expect(pages.length).toBeGreaterThan(2)
        expect(back.map((page) => page?.items)).toEqual(pages.map(({ items }) => items))
        expect(back.map((page) => page?.before)).toEqual(pages.map((_, n) => 4 * n))
        // Forward again from a page that was reached backward.
        expect((await list({ limit: 4, cursor: String(back[0]?.nextCursor) })).items).toEqual(pages[1]?.items)
      }
    })

    it('returns no cursor with a full last page', async () => {
      await store.getOrCreateSession(aSession({ id: 'a' }))
      await store.getOrCreateSession(aSession({ id: 'b' }))

      expect(await readAll((page) => store.listSessions('acme', page), 1)).toHaveLength(2)
      expect((await store.listSessions('acme', { limit: 2 })).nextCursor).toBeUndefined()
    })

    it('returns cursors that need no escaping in a URL', async () => {
      await store.getOrCreateSession(aSession({ id: 'a' }))
      await store.getOrCreateSession(aSession({ id: 'b' }))

      expect((await store.listSessions('acme', { limit: 1 })).nextCursor).toMatch(/^[A-Za-z0-9_-]+$/)
    })

    it.each(['', 'x', '%%', 'bnVsbA', 'W10', 'eyJhIjoxfQ', 'WyJzZXNzaW9ucyIsIngiLDFd'])(
      'rejects the cursor %j in every list',
      async (cursor) => {
        const fault = { code: 'INVALID_FIELD', param: 'cursor' }

        await expect(store.listSessions('acme', { limit: 1, cursor })).rejects.toMatchObject(fault)
        await expect(store.listWindows('acme', { limit: 1, cursor })).rejects.toMatchObject(fault)
        await expect(store.listForRepair([], { limit: 1, cursor })).rejects.toMatchObject(fault)
      },
    )

    it('rejects the cursor of another list', async () => {
      await store.getOrCreateSession(aSession({ id: 'a' }))
      await store.getOrCreateSession(aSession({ id: 'b' }))
      const { nextCursor = '' } = await store.listSessions('acme', { limit: 1 })

      await expect(store.listWindows('acme', { limit: 1, cursor: nextCursor })).rejects.toMatchObject({
        code: 'INVALID_FIELD',
        param: 'cursor',
      })
    })

    it.each([0, -1, 1.5, 1001, Number.NaN])('rejects a limit of %d', async (limit) => {
      await expect(store.listSessions('acme', { limit })).rejects.toMatchObject({
        code: 'INVALID_FIELD',
        param: 'limit',
      })
    })
  })
}
