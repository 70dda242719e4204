// The contract for events: their order, their limit and its fairness, their owner, and that losses are reported.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { anEvent } from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describeEvents(subject: Subject): void {
  describe('events', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    const append = (session: string, { tenant = 'acme', keep = 100 } = {}) =>
      store.appendEvent(anEvent({ tenant, session }), keep)
    const read = async (tenant: string | undefined, after: string, atMost = 100) => {
      const { events, missed, cursor } = await store.listEvents(tenant, after, atMost)
      return { sessions: events.map(({ session }) => session), missed, cursor }
    }

    it('keep every field, under the id returned to their writer', async () => {
      const before = await store.eventIdNow()
      const full = anEvent({ kind: 'deleted', session: 's', details: { n: 1, text: 'a', is: false, none: null } })

      const id = await store.appendEvent(full, 10)

      expect((await store.listEvents('acme', before, 10)).events).toEqual([{ ...full, id }])
    })

    it('are returned oldest first, page by page, and each page has the start of the next', async () => {
      let cursor = await store.eventIdNow()
      for (const session of ['a', 'b', 'c', 'd', 'e']) await append(session)
      const pages: unknown[] = []

      for (let n = 0; n < 4; n++) {
        const page = await read('acme', cursor, 2)
        pages.push(page.sessions)
        cursor = page.cursor
      }

      expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e'], []])
    })

    it('continue after the id of any of them', async () => {
      await append('a')
      const id = await append('b')
      await append('c')

      expect(await read('acme', id)).toMatchObject({ sessions: ['c'], missed: false })
    })

    it('continue after the current id with newer ones only, however fast they arrive', async () => {
      for (let n = 0; n < 20; n++) {
        await append('earlier')
        const now = await store.eventIdNow()
        await append(`later-${n}`)

        const { sessions, missed } = await read('acme', now)
        expect(sessions.at(-1)).toBe(`later-${n}`)
        expect(missed).toBe(false)
      }
    })

    it('belong to one tenant, and are listed for all tenants if none is named', async () => {
      const before = await store.eventIdNow()
      await append('a')
      await append('b', { tenant: 'globex' })
      await append('c')

      expect((await read('acme', before)).sessions).toEqual(['a', 'c'])
      expect((await read('globex', before)).sessions).toEqual(['b'])
      expect((await read(undefined, before)).sessions).toEqual(['a', 'b', 'c'])
    })

    it("are found after any number of other tenants' events", async () => {
      const before = await store.eventIdNow()
      for (let n = 0; n < 600; n++) await append('x', { tenant: 'globex', keep: 1000 })
      await append('own', { keep: 1000 })

      const { sessions, cursor } = await read('acme', before, 1)

      expect(sessions).toEqual(['own'])
      expect(await read('acme', cursor, 1)).toEqual({ sessions: [], missed: false, cursor })
    })

    it('are kept up to a total limit, and a late reader is told about losses', async () => {
      const before = await store.eventIdNow()
      const ids: string[] = []
      for (const session of ['a', 'b', 'c', 'd']) ids.push(await append(session, { keep: 2 }))

      expect(await read('acme', before)).toMatchObject({ sessions: ['c', 'd'], missed: true })
      expect(await read('acme', ids[0] ?? '')).toMatchObject({ sessions: ['c', 'd'], missed: true })
      expect(await read('acme', ids[1] ?? '')).toMatchObject({ sessions: ['c', 'd'], missed: false })
    })

    it('that are dropped are not reported to a reader without an event of its own among them', async () => {
      const before = await store.eventIdNow()
      await append('a', { tenant: 'globex', keep: 1 })
      const { cursor } = await read('acme', before)
      for (const session of ['b', 'c']) await append(session, { tenant: 'globex', keep: 2 })

      expect(await read('acme', cursor)).toMatchObject({ sessions: [], missed: false })
    })

    it("of a tenant stay when another adds more than are kept, and only the other's readers missed some", async () => {
      const before = await store.eventIdNow()
      for (const session of ['a', 'b']) await append(session, { keep: 10 })
      for (let n = 0; n < 50; n++) await append(`x-${n}`, { tenant: 'junk', keep: 10 })

      expect(await read('acme', before)).toMatchObject({ sessions: ['a', 'b'], missed: false })
      expect(await read('junk', before)).toMatchObject({
        sessions: ['x-42', 'x-43', 'x-44', 'x-45', 'x-46', 'x-47', 'x-48', 'x-49'],
        missed: true,
      })
      const all = await read(undefined, before)
      expect(all).toMatchObject({ missed: true, sessions: expect.arrayContaining(['a', 'b', 'x-42', 'x-49']) })
      expect(await read(undefined, all.cursor)).toMatchObject({ sessions: [], missed: false })
    })

    it('of a tenant whose last one was dropped are reported as missed', async () => {
      const before = await store.eventIdNow()
      await append('a', { keep: 2 })
      for (const tenant of ['globex', 'initech']) await append('b', { tenant, keep: 2 })

      expect(await read('acme', before)).toMatchObject({ sessions: [], missed: true })
      await append('c', { keep: 3 })
      expect(await read('acme', before)).toMatchObject({ sessions: ['c'], missed: true })
    })

    it("report a loss once, and not again from the page's cursor", async () => {
      for (const session of ['a', 'b', 'c']) await append(session, { tenant: 'globex', keep: 1 })
      const late = await read('acme', '0-0')

      expect(late).toMatchObject({ sessions: [], missed: true })
      expect(await read('acme', late.cursor)).toMatchObject({ sessions: [], missed: false })
    })

    it.each(['', 'nonsense', '-1', '9999999999999999', '9999999999999999-0', '1-99999999999999999999'])(
      'behind an id that this store never gave (%j) return everything kept, and report a loss',
      async (id) => {
        await append('a')
        await append('b')

        const page = await read('acme', id)

        expect(page).toMatchObject({ sessions: ['a', 'b'], missed: true })
        expect(await read('acme', page.cursor)).toMatchObject({ sessions: [], missed: false })
      },
    )

    it('have one order for two handles, and survive a restart', async () => {
      const before = await store.eventIdNow()
      const other = await subject().reopen()
      await append('a')
      await other.appendEvent(anEvent({ session: 'b' }), 100)
      await append('c')
      await store.close()

      const { events } = await (await subject().reopen()).listEvents('acme', before, 10)

      expect(events.map(({ session }) => session)).toEqual(['a', 'b', 'c'])
      expect((await other.listEvents('acme', before, 10)).events).toEqual(events)
    })

    it('of a forgotten tenant are removed, without a reported loss for others', async () => {
      const before = await store.eventIdNow()
      await append('a')
      await append('b', { tenant: 'globex' })
      const last = await append('c')

      await store.forgetTenant('acme')

      expect(await read('acme', before)).toMatchObject({ sessions: [], missed: false })
      expect(await read(undefined, before)).toMatchObject({ sessions: ['b'], missed: false })
      expect(await read(undefined, last)).toMatchObject({ sessions: [], missed: false })
    })
  })
}
