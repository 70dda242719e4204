// The contract for records that turns leave beside their sessions: boundaries, ambiguity, response ids, and their expiry.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { aBoundary, anOrder, aSession, aWindow, noon, putTurn, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describeBoundaries(subject: Subject): void {
  describe('boundaries', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('finds known boundaries by digest, and omits unknown ones', async () => {
      await putTurn(store, aSession(), [aBoundary({ digest: 'a' }), aBoundary({ digest: 'b' })], 4)

      const hits = await store.findBoundaries('acme', ['a', 'b', 'c'], noon)

      expect(hits).toEqual(
        new Map([
          ['a', { sessionId: 'session-1' }],
          ['b', { sessionId: 'session-1' }],
        ]),
      )
      expect(await store.findBoundaries('acme', [], noon)).toEqual(new Map())
    })

    it('finds among a thousand digests', async () => {
      await putTurn(store, aSession(), [aBoundary({ digest: 'digest-700' })], 4)

      const digests = Array.from({ length: 1000 }, (_, n) => `digest-${n}`)

      expect([...(await store.findBoundaries('acme', digests, noon)).keys()]).toEqual(['digest-700'])
    })

    it('returns nothing to another tenant, and no ambiguity across tenants', async () => {
      await putTurn(store, aSession(), [aBoundary()], 4)
      expect(await store.findBoundaries('globex', ['digest-1'], noon)).toEqual(new Map())

      await putTurn(store, aSession({ tenant: 'globex' }), [aBoundary({ tenant: 'globex' })], 4)
      expect(await store.findBoundaries('acme', ['digest-1'], noon)).toEqual(
        new Map([['digest-1', { sessionId: 'session-1' }]]),
      )
    })

    it('stores nothing of a turn whose boundary belongs to another session', async () => {
      await expect(putTurn(store, aSession(), [aBoundary({ tenant: 'globex' })], 4)).rejects.toMatchObject({
        code: 'INTERNAL',
      })
      await expect(putTurn(store, aSession(), [aBoundary({ sessionId: 'other' })], 4)).rejects.toMatchObject({
        code: 'INTERNAL',
      })

      expect(await store.getSession('acme', 'session-1')).toBeUndefined()
    })

    it('reports a boundary as ambiguous once a second session has it, whichever saves it then', async () => {
      await putTurn(store, aSession(), [aBoundary()], 4)
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ sessionId: 'two' })], 4)
      const after = await store.findBoundaries('acme', ['digest-1'], noon)
      await putTurn(store, aSession(), [aBoundary()], 4)
      const later = await store.findBoundaries('acme', ['digest-1'], noon)

      expect(after).toEqual(new Map([['digest-1', 'ambiguous']]))
      expect(later).toEqual(new Map([['digest-1', 'ambiguous']]))
    })

    it('keeps a boundary ambiguous when one of its sessions has moved on', async () => {
      await putTurn(store, aSession(), [aBoundary()], 1)
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ sessionId: 'two' })], 1)
      await putTurn(store, aSession(), [aBoundary({ digest: 'next' })], 1)
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ digest: 'other', sessionId: 'two' })], 1)

      expect((await store.findBoundaries('acme', ['digest-1'], noon)).get('digest-1')).not.toEqual({
        sessionId: 'two',
      })
    })

    it('keeps a boundary ambiguous when one of its sessions is ended, because it must not lead to the other', async () => {
      await putTurn(store, aSession(), [aBoundary()])
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ sessionId: 'two' })])
      await store.removeSession(aSession(), anOrder({ kind: 'session' }), [])

      await putTurn(store, aSession({ id: 'two', turns: 1 }), [aBoundary({ sessionId: 'two' })])

      expect((await store.findBoundaries('acme', ['digest-1'], noon)).get('digest-1')).toBe('ambiguous')
    })

    it.each([
      [10, 20],
      [20, 10],
    ])('keeps a boundary ambiguous until the later of its expiries (+%d, then +%d ms)', async (first, second) => {
      await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + first })], 4)
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ sessionId: 'two', expiresAt: noon + second })], 4)

      expect((await store.findBoundaries('acme', ['digest-1'], noon + 15)).get('digest-1')).toBe('ambiguous')
      expect((await store.findBoundaries('acme', ['digest-1'], noon + 20)).size).toBe(0)
    })

    it("keeps a boundary's session when the session saves it again, with the new expiry", async () => {
      await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + 10 })], 4)
      await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + 20 })], 4)

      expect((await store.findBoundaries('acme', ['digest-1'], noon + 15)).get('digest-1')).toEqual({
        sessionId: 'session-1',
      })
    })

    // Expired boundaries are dropped in batches, so the old one may still exist.
    it('assigns a boundary that had expired by the turn to the session that saves it', async () => {
      await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + 10 })], 4)
      await putTurn(
        store,
        aSession({ id: 'two', lastTurnAt: noon + 11 }),
        [aBoundary({ sessionId: 'two', expiresAt: noon + 100 })],
        4,
      )

      expect((await store.findBoundaries('acme', ['digest-1'], noon + 12)).get('digest-1')).toEqual({
        sessionId: 'two',
      })
    })

    it('finds a boundary before its expiry, and not afterwards', async () => {
      await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + 10 })], 4)

      expect((await store.findBoundaries('acme', ['digest-1'], noon + 9)).size).toBe(1)
      expect((await store.findBoundaries('acme', ['digest-1'], noon + 10)).size).toBe(0)
    })

    it('keeps the newest boundaries of each session; saving one again makes it new', async () => {
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ digest: 'z', sessionId: 'two' })], 2)
      await putTurn(store, aSession(), [aBoundary({ digest: 'a' }), aBoundary({ digest: 'b' })], 2)
      await putTurn(store, aSession(), [aBoundary({ digest: 'a' })], 2)
      await putTurn(store, aSession(), [aBoundary({ digest: 'c' })], 2)

      const hits = await store.findBoundaries('acme', ['a', 'b', 'c', 'z'], noon)

      expect([...hits.keys()].sort()).toEqual(['a', 'c', 'z'])
    })

    // A turn with several choices saves boundaries for each.
    it('keeps the newest if a turn saves more than the limit, and reports those of other sessions as ambiguous', async () => {
      await putTurn(store, aSession({ id: 'two' }), [aBoundary({ digest: 'b', sessionId: 'two' })], 2)

      await putTurn(
        store,
        aSession(),
        ['a', 'b', 'c', 'd'].map((digest) => aBoundary({ digest })),
        2,
      )

      expect(await store.findBoundaries('acme', ['a', 'b', 'c', 'd'], noon)).toEqual(
        new Map<string, unknown>([
          ['b', 'ambiguous'],
          ['c', { sessionId: 'session-1' }],
          ['d', { sessionId: 'session-1' }],
        ]),
      )
    })

    it('keeps the newest of each rank, without displacing other ranks', async () => {
      const leave = (digest: string, rank: number) => putTurn(store, aSession(), [aBoundary({ digest, rank })], 2)
      for (const [digest, rank] of [
        ...[
          ['first', 9],
          ['8', 1],
          ['16', 1],
          ['24', 1],
        ],
        ...[
          ['a', 0],
          ['64', 2],
          ['b', 0],
          ['c', 0],
        ],
      ] as [string, number][]) {
        await leave(digest, rank)
      }

      const hits = await store.findBoundaries('acme', ['first', '8', '16', '24', '64', 'a', 'b', 'c'], noon)

      expect([...hits.keys()].sort()).toEqual(['16', '24', '64', 'b', 'c', 'first'])
    })

    it('moves a boundary to the rank under which it is saved again', async () => {
      await putTurn(store, aSession(), [aBoundary({ digest: 'a' })], 1)
      await putTurn(store, aSession(), [aBoundary({ digest: 'a', rank: 1 })], 1)
      await putTurn(store, aSession(), [aBoundary({ digest: 'b' }), aBoundary({ digest: 'c', rank: 2 })], 1)

      expect([...(await store.findBoundaries('acme', ['a', 'b', 'c'], noon)).keys()].sort()).toEqual(['a', 'b', 'c'])
    })

    it('extends the expiry of all ranks above 0 with each turn that saves one, but revives nothing', async () => {
      const leave = (digest: string, rank: number, expiresAt: number, lastTurnAt = noon) =>
        putTurn(store, aSession({ lastTurnAt }), [aBoundary({ digest, rank, expiresAt })], 4)
      await leave('first', 9, noon + 10)
      await leave('plain', 0, noon + 10)
      await leave('over', 2, noon + 2)

      await leave('next', 1, noon + 30, noon + 5)

      const hits = await store.findBoundaries('acme', ['first', 'plain', 'over', 'next'], noon + 20)
      expect([...hits.keys()].sort()).toEqual(['first', 'next'])
    })

    it('extends the expiry of ranks above 0 with every later turn, not only the first', async () => {
      for (const n of [0, 1, 2, 3]) {
        const session = aSession({ turns: n, lastTurnAt: noon + 100 * n })
        const boundary = aBoundary({ digest: `d-${n}`, rank: n === 0 ? 9 : 1, expiresAt: noon + 100 * n + 150 })
        await putTurn(store, session, [boundary], 4)
      }

      const hits = await store.findBoundaries('acme', ['d-0', 'd-1', 'd-2', 'd-3'], noon + 440)
      expect([...hits.keys()].sort()).toEqual(['d-0', 'd-1', 'd-2', 'd-3'])
    })

    it('drops the boundaries of every rank with their session', async () => {
      await putTurn(store, aSession(), [aBoundary({ digest: 'a' }), aBoundary({ digest: 'b', rank: 1 })])

      await store.removeSession(aSession(), anOrder({ kind: 'session' }), [])

      expect((await store.findBoundaries('acme', ['a', 'b'], noon)).size).toBe(0)
    })
  })
}

export function describeExpiry(subject: Subject): void {
  describe('expiry', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('drops expired boundaries and responses, a few at a time, and nothing else', async () => {
      const over = ['a', 'b', 'c'].map((digest) => aBoundary({ digest, expiresAt: noon - 1 }))
      const responses = [
        { id: 'resp-over', expiresAt: noon - 1 },
        { id: 'resp-live', expiresAt: noon + 1 },
      ]
      const boundaries = [...over, aBoundary({ digest: 'live' })]
      await store.saveTurn(aSession({ lastTurnAt: noon - 5 }), { boundaries, keepBoundaries: 10, responses }, true)
      await store.reserveWindow(aWindow({ createdAt: 1 }), someContent())

      const dropped: number[] = []
      do dropped.push(await store.dropExpired(noon, 2))
      while (dropped.at(-1) !== 0 && dropped.length < 10)

      expect(dropped.at(-1)).toBe(0)
      expect(Math.max(...dropped)).toBeLessThanOrEqual(2)
      expect([...(await store.findBoundaries('acme', ['a', 'b', 'c', 'live'], noon - 2)).keys()]).toEqual(['live'])
      expect(await store.findResponse('acme', 'resp-over', noon - 2)).toBeUndefined()
      expect(await store.findResponse('acme', 'resp-live', noon)).toEqual({ sessionId: 'session-1' })
      expect(await store.getSession('acme', 'session-1')).toEqual(aSession({ lastTurnAt: noon - 5 }))
      expect(await store.getWindow('acme', 'draft')).toEqual(aWindow({ createdAt: 1 }))
    })

    it('keeps lineages that were retired within the month', async () => {
      await store.retireLineage('acme', 'lineage-1')

      await store.dropExpired(Date.now() + 29 * 24 * 3_600_000, 100)

      expect(await store.isRetired('acme', 'lineage-1')).toBe(true)
    })
  })
}

export function describeResponses(subject: Subject): void {
  describe('stored responses', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    const turnWith = (expiresAt: number) => ({
      boundaries: [],
      keepBoundaries: 4,
      responses: [{ id: 'resp-1', expiresAt }],
    })

    it('lead to the session of the turn that created them, until they expire', async () => {
      await store.saveTurn(aSession(), turnWith(noon + 10), true)

      expect(await store.findResponse('acme', 'resp-1', noon + 9)).toEqual({ sessionId: 'session-1' })
      expect(await store.findResponse('acme', 'resp-1', noon + 10)).toBeUndefined()
      expect(await store.findResponse('acme', 'resp-2', noon)).toBeUndefined()
    })

    it('lead to the session of the newest turn that names them', async () => {
      await store.saveTurn(aSession(), turnWith(noon + 10), true)
      await store.saveTurn(aSession({ id: 'two' }), turnWith(noon + 20), true)

      expect(await store.findResponse('acme', 'resp-1', noon + 15)).toEqual({ sessionId: 'two' })
    })

    it('name the engine that stores them, if the turn did', async () => {
      const engine = 'http://a.example:8000'
      const responses = [
        { id: 'resp-1', expiresAt: noon + 10, engine },
        { id: 'resp-2', expiresAt: noon + 10 },
      ]
      await store.saveTurn(aSession(), { boundaries: [], keepBoundaries: 4, responses }, true)

      const other = await subject().reopen()
      expect(await other.findResponse('acme', 'resp-1', noon)).toEqual({ sessionId: 'session-1', engine })
      expect(await other.findResponse('acme', 'resp-2', noon)).toEqual({ sessionId: 'session-1' })
    })

    it('are removed with their session, unless another one has named them since', async () => {
      const responses = ['resp-1', 'resp-2'].map((id) => ({ id, expiresAt: noon + 10 }))
      await store.saveTurn(aSession(), { boundaries: [], keepBoundaries: 4, responses }, true)
      await store.saveTurn(aSession({ id: 'two' }), turnWith(noon + 20), true)

      await store.removeSession(aSession(), anOrder({ kind: 'session' }), [])

      expect(await store.findResponse('acme', 'resp-1', noon)).toEqual({ sessionId: 'two' })
      expect(await store.findResponse('acme', 'resp-2', noon)).toBeUndefined()
    })

    it('of another tenant are unknown, even under the same id', async () => {
      await store.saveTurn(aSession(), turnWith(noon + 10), true)
      expect(await store.findResponse('globex', 'resp-1', noon)).toBeUndefined()

      await store.saveTurn(aSession({ tenant: 'globex', id: 'theirs' }), turnWith(noon + 10), true)
      expect(await store.findResponse('acme', 'resp-1', noon)).toEqual({ sessionId: 'session-1' })
      expect(await store.findResponse('globex', 'resp-1', noon)).toEqual({ sessionId: 'theirs' })
    })

    it('are not stored with a rejected turn', async () => {
      await store.saveTurn(aSession(), turnWith(noon + 10), false)

      expect(await store.findResponse('acme', 'resp-1', noon)).toBeUndefined()
    })
  })
}
