// What every store must do, held to the text of base/store.ts. A store's own test calls this and adds what is its own.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SessionRecord, WindowContent, WindowRecord } from '../../base/records.ts'
import type { Page, PageRequest, Store } from '../../base/store.ts'
import { aBoundary, aSession, aWindow, noon, putTurn, someContent } from './sample-records.ts'

/** A store with nothing in it, for one test. */
export interface StoreUnderTest {
  readonly store: Store
  /** Another handle on the same data, as a second process or a later start would have it. */
  reopen(): Promise<Store>
  /** Closes every handle and removes the data. */
  dispose(): Promise<void>
}

/** Declares the contract's tests for the store that `open` makes. */
export function describeStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the store contract`, () => {
    let subject: StoreUnderTest
    let store: Store
    beforeEach(async () => {
      subject = await open()
      store = subject.store
    })
    afterEach(() => subject.dispose())

    describe('meta', () => {
      it('keeps the first value of a key and answers it to every later caller', async () => {
        const first = await store.claimMeta('check', 'one')
        const second = await store.claimMeta('check', 'two')

        expect([first, second]).toEqual(['one', 'one'])
      })

      it('lets one of many callers on two handles win a key', async () => {
        const other = await subject.reopen()

        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? store : other).claimMeta('check', `value-${n}`)),
        )

        expect(new Set(answers).size).toBe(1)
      })
    })

    describe('sessions', () => {
      it('answers undefined for a session that it does not hold', async () => {
        expect(await store.getSession('acme', 'nobody')).toBeUndefined()
      })

      it('gives one lineage to many callers on two handles', async () => {
        const other = await subject.reopen()

        const sessions = await Promise.all(
          Array.from({ length: 60 }, (_, n) =>
            (n % 2 === 0 ? store : other).getOrCreateSession(aSession({ lineage: `lineage-${n}` })),
          ),
        )

        const stored = await other.getSession('acme', 'session-1')
        expect(new Set(sessions.map((session) => session.lineage))).toEqual(new Set([stored?.lineage]))
      })

      it('answers the stored session and leaves it as it is', async () => {
        const stored = aSession({ lineage: 'first', turns: 3 })
        await putTurn(store, stored, [], 4)

        const answer = await store.getOrCreateSession(aSession({ lineage: 'second' }))

        expect(answer).toEqual(stored)
      })

      it('keeps every field of a session', async () => {
        const full: SessionRecord = fullSession()

        await putTurn(store, full, [], 4)

        expect(await store.getSession('acme', 'session-1')).toEqual(full)
      })

      it('drops a field that the next turn no longer has', async () => {
        await putTurn(store, aSession({ baseWindow: 'draft' }), [], 4)
        await putTurn(store, aSession(), [], 4)

        expect(await store.getSession('acme', 'session-1')).toEqual(aSession())
      })

      it('keeps tenants apart: the same id is another session', async () => {
        await store.getOrCreateSession(aSession({ lineage: 'of-acme' }))
        await store.getOrCreateSession(aSession({ tenant: 'globex', lineage: 'of-globex' }))

        expect((await store.getSession('acme', 'session-1'))?.lineage).toBe('of-acme')
        expect((await store.getSession('globex', 'session-1'))?.lineage).toBe('of-globex')
        expect((await store.listSessions('globex', { limit: 10 })).items.map((s) => s.lineage)).toEqual(['of-globex'])
      })

      it('does not mix up a tenant and an id that read alike when joined', async () => {
        await store.getOrCreateSession(aSession({ tenant: 'a:b', id: 'c' }))

        expect(await store.getSession('a', 'b:c')).toBeUndefined()
        expect((await store.listSessions('a', { limit: 10 })).items).toEqual([])
      })

      it('lists the newest last turn first', async () => {
        await putTurn(store, aSession({ id: 'old', lastTurnAt: noon }), [], 4)
        await putTurn(store, aSession({ id: 'new', lastTurnAt: noon + 2 }), [], 4)
        await putTurn(store, aSession({ id: 'mid', lastTurnAt: noon + 1 }), [], 4)
        await putTurn(store, aSession({ id: 'old', lastTurnAt: noon + 3 }), [], 4)

        const page = await store.listSessions('acme', { limit: 10 })

        expect(page.items.map((session) => session.id)).toEqual(['old', 'new', 'mid'])
        expect(page.nextCursor).toBeUndefined()
      })
    })

    describe('boundaries', () => {
      it('finds the boundaries that it holds, by digest, and leaves out the others', async () => {
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

      it('answers nothing to another tenant, and makes nobody ambiguous across tenants', async () => {
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

      it('calls a boundary ambiguous once a second session holds it, whoever saves it then', async () => {
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

      it.each([
        [10, 20],
        [20, 10],
      ])('keeps a boundary ambiguous until the later of its expiries (+%d, then +%d ms)', async (first, second) => {
        await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + first })], 4)
        await putTurn(store, aSession({ id: 'two' }), [aBoundary({ sessionId: 'two', expiresAt: noon + second })], 4)

        expect((await store.findBoundaries('acme', ['digest-1'], noon + 15)).get('digest-1')).toBe('ambiguous')
        expect((await store.findBoundaries('acme', ['digest-1'], noon + 20)).size).toBe(0)
      })

      it('keeps its session when that one saves the boundary again, with the new expiry', async () => {
        await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + 10 })], 4)
        await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + 20 })], 4)

        expect((await store.findBoundaries('acme', ['digest-1'], noon + 15)).get('digest-1')).toEqual({
          sessionId: 'session-1',
        })
      })

      // Expired boundaries are dropped in batches, so the old one may still lie there.
      it('gives a boundary that had expired by the turn to the session that saves it', async () => {
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

      it('finds a boundary up to its expiry and not from then on', async () => {
        await putTurn(store, aSession(), [aBoundary({ expiresAt: noon + 10 })], 4)

        expect((await store.findBoundaries('acme', ['digest-1'], noon + 9)).size).toBe(1)
        expect((await store.findBoundaries('acme', ['digest-1'], noon + 10)).size).toBe(0)
      })

      it('keeps the newest boundaries of each session; one saved again is new again', async () => {
        await putTurn(store, aSession({ id: 'two' }), [aBoundary({ digest: 'z', sessionId: 'two' })], 2)
        await putTurn(store, aSession(), [aBoundary({ digest: 'a' }), aBoundary({ digest: 'b' })], 2)
        await putTurn(store, aSession(), [aBoundary({ digest: 'a' })], 2)
        await putTurn(store, aSession(), [aBoundary({ digest: 'c' })], 2)

        const hits = await store.findBoundaries('acme', ['a', 'b', 'c', 'z'], noon)

        expect([...hits.keys()].sort()).toEqual(['a', 'c', 'z'])
      })

      it('drops what expired, at most as many as asked, and nothing else', async () => {
        const expired = ['a', 'b', 'c'].map((digest) => aBoundary({ digest, expiresAt: noon - 1 }))
        await putTurn(store, aSession(), [...expired, aBoundary({ digest: 'live' })], 10)
        await store.reserveWindow(aWindow({ createdAt: 1 }), someContent())

        const dropped = [await store.dropExpired(noon, 2), await store.dropExpired(noon, 2)]
        const then = await store.dropExpired(noon, 2)

        expect(dropped).toEqual([2, 1])
        expect(then).toBe(0)
        expect([...(await store.findBoundaries('acme', ['a', 'b', 'c', 'live'], 0)).keys()]).toEqual(['live'])
        expect(await store.getSession('acme', 'session-1')).toEqual(aSession())
        expect(await store.getWindow('acme', 'draft')).toEqual(aWindow({ createdAt: 1 }))
      })
    })

    describe('windows', () => {
      it('reserves a free name with record and content', async () => {
        expect(await store.reserveWindow(aWindow(), someContent())).toBe('stored')

        expect(await store.getWindow('acme', 'draft')).toEqual(aWindow())
        expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
      })

      it('gives a name to one of many callers on two handles', async () => {
        const other = await subject.reopen()

        const won = await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            (n % 2 === 0 ? store : other).reserveWindow(aWindow({ id: `window-${n}` }), someContent(`text-${n}`)),
          ),
        )

        const winner = `window-${won.indexOf('stored')}`
        expect(won.filter((outcome) => outcome === 'stored')).toHaveLength(1)
        expect((await other.getWindow('acme', 'draft'))?.id).toBe(winner)
        expect(await store.getWindowContent('acme', 'draft', winner)).toEqual(
          someContent(`text-${won.indexOf('stored')}`),
        )
      })

      const taken: readonly Partial<WindowRecord>[] = [
        { state: 'freezing', pin: 'none' },
        { state: 'frozen', pin: 'pinned' },
        { state: 'frozen', pin: 'none' },
        { state: 'failed', pin: 'pinned' },
        { state: 'failed', pin: 'pinning' },
      ]
      it.each(taken)('refuses a name whose window is $state with pin $pin, and leaves it as it is', async (held) => {
        await store.reserveWindow(aWindow(held), someContent('first'))

        expect(await store.reserveWindow(aWindow({ id: 'window-2' }), someContent('second'))).toBe('taken')

        expect(await store.getWindow('acme', 'draft')).toEqual(aWindow(held))
        expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent('first'))
      })

      it('replaces a failed window that holds no pin, with its content and its place in the list', async () => {
        await store.reserveWindow(aWindow({ state: 'failed', reason: 'upstream gone' }), someContent('first'))
        await store.reserveWindow(aWindow({ name: 'between', id: 'window-3', createdAt: noon + 1 }), someContent())

        const again = aWindow({ id: 'window-2', createdAt: noon + 2 })
        expect(await store.reserveWindow(again, someContent('second', []))).toBe('stored')

        expect(await store.getWindow('acme', 'draft')).toEqual(again)
        expect(await store.getWindowContent('acme', 'draft', 'window-1')).toBeUndefined()
        expect(await store.getWindowContent('acme', 'draft', 'window-2')).toEqual(someContent('second', []))
        expect((await store.listWindows('acme', { limit: 10 })).items.map((w) => w.id)).toEqual([
          'window-2',
          'window-3',
        ])
      })

      it('changes the named fields and the ids, and nothing else', async () => {
        await store.reserveWindow(aWindow({ clientSalt: 'mine' }), someContent('hello', []))

        const change = { state: 'frozen', pin: 'pinned', frozenAt: noon + 5, checksum: 'sum' } as const
        const changed = await store.changeWindow('acme', 'draft', 'window-1', {
          ...change,
          tokenIds: Uint32Array.of(7, 8),
        })

        expect(changed).toBe(true)
        expect(await store.getWindow('acme', 'draft')).toEqual(aWindow({ clientSalt: 'mine', ...change }))
        expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent('hello', [7, 8]))
      })

      it('keeps earlier changes and the ids when a later change does not name them', async () => {
        await store.reserveWindow(aWindow(), someContent())
        await store.changeWindow('acme', 'draft', 'window-1', { pin: 'pinning' })
        await store.changeWindow('acme', 'draft', 'window-1', { state: 'failed', reason: 'timeout' })

        expect(await store.getWindow('acme', 'draft')).toEqual(
          aWindow({ pin: 'pinning', state: 'failed', reason: 'timeout' }),
        )
        expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
      })

      it('loses no change when many arrive at once', async () => {
        const other = await subject.reopen()
        await store.reserveWindow(aWindow(), someContent())

        await Promise.all([
          store.changeWindow('acme', 'draft', 'window-1', { state: 'frozen' }),
          other.changeWindow('acme', 'draft', 'window-1', { pin: 'pinned' }),
          store.changeWindow('acme', 'draft', 'window-1', { checksum: 'sum' }),
          other.changeWindow('acme', 'draft', 'window-1', { frozenAt: noon + 1 }),
        ])

        expect(await store.getWindow('acme', 'draft')).toEqual(
          aWindow({ state: 'frozen', pin: 'pinned', checksum: 'sum', frozenAt: noon + 1 }),
        )
      })

      it('does not change a window that is gone, was replaced, or is another tenant’s', async () => {
        await store.reserveWindow(aWindow(), someContent())

        expect(await store.changeWindow('acme', 'nothing', 'window-1', { state: 'frozen' })).toBe(false)
        expect(await store.changeWindow('acme', 'draft', 'window-0', { state: 'frozen' })).toBe(false)
        expect(await store.changeWindow('globex', 'draft', 'window-1', { state: 'frozen' })).toBe(false)

        expect(await store.getWindow('acme', 'draft')).toEqual(aWindow())
      })

      it('keeps every field of a window', async () => {
        const full = fullWindow()

        await store.reserveWindow(full, someContent())

        expect(await store.getWindow('acme', 'draft')).toEqual(full)
        expect((await store.listWindows('acme', { limit: 1 })).items).toEqual([full])
      })

      it('keeps tenants apart in every read', async () => {
        await store.reserveWindow(aWindow(), someContent('of acme'))
        expect(await store.getWindow('globex', 'draft')).toBeUndefined()
        expect(await store.getWindowContent('globex', 'draft', 'window-1')).toBeUndefined()
        expect((await store.listWindows('globex', { limit: 10 })).items).toEqual([])

        expect(await store.reserveWindow(aWindow({ tenant: 'globex' }), someContent('of globex'))).toBe('stored')
        expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent('of acme'))
        expect(await store.getWindowContent('globex', 'draft', 'window-1')).toEqual(someContent('of globex'))
      })

      it('lists for repair, of all tenants in order of creation, what is in a state or may hold a pin', async () => {
        const windows = [
          aWindow({ name: 'd', createdAt: noon + 4, state: 'failed', pin: 'pinning' }),
          aWindow({ name: 'a', createdAt: noon + 1, state: 'freezing' }),
          aWindow({ name: 'b', createdAt: noon + 2, tenant: 'globex', state: 'frozen', pin: 'pinned' }),
          aWindow({ name: 'c', createdAt: noon + 3, state: 'frozen' }),
          aWindow({ name: 'e', createdAt: noon + 5, state: 'failed' }),
        ]
        for (const window of windows) await store.reserveWindow(window, someContent())

        const names = async (states: Parameters<Store['listForRepair']>[0]) =>
          (await readAll((page) => store.listForRepair(states, page), 2)).map((window) => window.name)

        expect(await names(['freezing'])).toEqual(['a', 'b', 'd'])
        expect(await names([])).toEqual(['b', 'd'])
        expect(await names(['freezing', 'frozen', 'failed'])).toEqual(['a', 'b', 'c', 'd', 'e'])
      })
    })

    describe('content', () => {
      it('gives back text of every kind', async () => {
        const text = 'é 😀 \u0000 \ud800 \u2028 "\\" \r\n \u{10ffff} עברית'
        const content: WindowContent = {
          prompt: {
            dialect: 'messages',
            model: 'small',
            messages: [{ role: 'user', content: text, [text]: [null, true, 1.5e-7, -3] }, text, null],
            shaping: { system: text, tools: [] },
          },
          tokenIds: Uint32Array.of(0, 1, 0xffffffff),
        }

        await store.reserveWindow(aWindow(), content)

        expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(content)
      })

      it('gives back 5 MB of messages and 131,072 ids', async () => {
        const tokenIds = Uint32Array.from({ length: 131_072 }, (_, n) => (n * 2_654_435_761) >>> 0)
        await store.reserveWindow(aWindow(), someContent('wörd '.repeat(840_000), []))
        await store.changeWindow('acme', 'draft', 'window-1', { tokenIds })

        const content = await store.getWindowContent('acme', 'draft', 'window-1')

        expect(content?.prompt.messages[0]).toEqual({ role: 'user', content: 'wörd '.repeat(840_000) })
        expect(content?.tokenIds).toBeInstanceOf(Uint32Array)
        expect(content?.tokenIds.join()).toBe(tokenIds.join()) // toEqual takes a second over as many
      })

      it('takes ids that are a part of a larger array', async () => {
        const part = Uint32Array.of(9, 1, 2, 3, 9).subarray(1, 4)

        await store.reserveWindow(aWindow(), { ...someContent(), tokenIds: part })

        expect((await store.getWindowContent('acme', 'draft', 'window-1'))?.tokenIds).toEqual(Uint32Array.of(1, 2, 3))
      })
    })

    describe('paging', () => {
      it('shows each window once while others are inserted, also where times are equal', async () => {
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

      it('shows each session once while others are inserted, also where times are equal', async () => {
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

      it('gives no cursor with a last page that is full', async () => {
        await store.getOrCreateSession(aSession({ id: 'a' }))
        await store.getOrCreateSession(aSession({ id: 'b' }))

        expect(await readAll((page) => store.listSessions('acme', page), 1)).toHaveLength(2)
        expect((await store.listSessions('acme', { limit: 2 })).nextCursor).toBeUndefined()
      })

      it('makes cursors that can stand in a URL as they are', async () => {
        await store.getOrCreateSession(aSession({ id: 'a' }))
        await store.getOrCreateSession(aSession({ id: 'b' }))

        expect((await store.listSessions('acme', { limit: 1 })).nextCursor).toMatch(/^[A-Za-z0-9_-]+$/)
      })

      it.each(['', 'x', '%%', 'bnVsbA', 'W10', 'eyJhIjoxfQ', 'WyJzZXNzaW9ucyIsIngiLDFd'])(
        'refuses the cursor %j in every list',
        async (cursor) => {
          const fault = { code: 'INVALID_FIELD', param: 'cursor' }

          await expect(store.listSessions('acme', { limit: 1, cursor })).rejects.toMatchObject(fault)
          await expect(store.listWindows('acme', { limit: 1, cursor })).rejects.toMatchObject(fault)
          await expect(store.listForRepair([], { limit: 1, cursor })).rejects.toMatchObject(fault)
        },
      )

      it('refuses the cursor of another list', async () => {
        await store.getOrCreateSession(aSession({ id: 'a' }))
        await store.getOrCreateSession(aSession({ id: 'b' }))
        const { nextCursor = '' } = await store.listSessions('acme', { limit: 1 })

        await expect(store.listWindows('acme', { limit: 1, cursor: nextCursor })).rejects.toMatchObject({
          code: 'INVALID_FIELD',
          param: 'cursor',
        })
      })

      it.each([0, -1, 1.5, 1001, Number.NaN])('refuses a limit of %d', async (limit) => {
        await expect(store.listSessions('acme', { limit })).rejects.toMatchObject({
          code: 'INVALID_FIELD',
          param: 'limit',
        })
      })
    })

    describe('closing', () => {
      it('keeps everything for the next start', async () => {
        await store.claimMeta('check', 'one')
        await putTurn(store, aSession({ turns: 2 }), [aBoundary()], 4)
        await putTurn(store, aSession({ id: 'two' }), [aBoundary({ digest: 'own', sessionId: 'two' })], 4)
        await store.reserveWindow(aWindow(), someContent())
        await store.changeWindow('acme', 'draft', 'window-1', { state: 'frozen', receipt: fullReceipt })
        await store.close()

        const next = await subject.reopen()

        expect(await next.claimMeta('check', 'two')).toBe('one')
        expect(await next.getSession('acme', 'session-1')).toEqual(aSession({ turns: 2 }))
        expect(await next.findBoundaries('acme', ['own'], noon)).toEqual(new Map([['own', { sessionId: 'two' }]]))
        expect(await next.getWindow('acme', 'draft')).toEqual(aWindow({ state: 'frozen', receipt: fullReceipt }))
        expect(await next.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
      })

      it('finishes what was asked before it closes', async () => {
        const asked = store.saveTurn(aSession(), { boundaries: [aBoundary()], keepBoundaries: 4 }, true)
        await store.close()

        await expect(asked).resolves.toBe('saved')
        expect(await (await subject.reopen()).getSession('acme', 'session-1')).toEqual(aSession())
      })

      it('leaves other handles open', async () => {
        const other = await subject.reopen()
        await store.close()

        await other.getOrCreateSession(aSession())

        expect(await other.getSession('acme', 'session-1')).toEqual(aSession())
      })

      it('can be closed twice', async () => {
        await store.close()

        await expect(store.close()).resolves.toBeUndefined()
      })

      it('rejects every call with STORE_UNAVAILABLE from then on', async () => {
        await store.close()

        const page = { limit: 1 }
        const calls: readonly (() => Promise<unknown>)[] = [
          () => store.claimMeta('check', 'one'),
          () => store.getOrCreateSession(aSession()),
          () => store.getSession('acme', 'session-1'),
          () => store.listSessions('acme', page),
          () => putTurn(store, aSession(), [], 1),
          () => store.findBoundaries('acme', ['digest-1'], noon),
          () => store.dropExpired(noon, 1),
          () => store.reserveWindow(aWindow(), someContent()),
          () => store.changeWindow('acme', 'draft', 'window-1', { state: 'failed' }),
          () => store.getWindow('acme', 'draft'),
          () => store.getWindowContent('acme', 'draft', 'window-1'),
          () => store.listWindows('acme', page),
          () => store.listForRepair(['freezing'], page),
        ]

        for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
      })
    })
  })
}

async function readAll<T>(read: (page: PageRequest) => Promise<Page<T>>, limit: number): Promise<T[]> {
  const items: T[] = []
  let page = await read({ limit })
  for (let pages = 1; pages < 1000; pages++) {
    items.push(...page.items)
    if (page.nextCursor === undefined) return items
    page = await read({ limit, cursor: page.nextCursor })
  }
  throw new Error('the list does not end')
}

const fullReceipt: NonNullable<WindowRecord['receipt']> = {
  durability: 'l2',
  tokens: 600,
  chunkSize: 256,
  chunks: 2,
  restorableTokens: 512,
  tiers: { total: 2, l1: null, l2: 2, backends: { fs: 2 } },
  pinned: true,
  cachedTokens: 0,
  computedTokens: null,
  ms: { warm: 12.5 },
  warnings: ['l1 unknown — “slow”'],
}

function fullWindow(): WindowRecord {
  return aWindow({
    state: 'failed',
    reason: 'the upstream is gone',
    parent: 'before',
    clientSalt: 'mine',
    frozenAt: noon + 1,
    checksum: 'sum',
    pin: 'pinning',
    keys: { engineName: '/models/small', worldSize: 2, chunkSize: 256 },
    receipt: fullReceipt,
  })
}

function fullSession(): SessionRecord {
  return aSession({
    named: false,
    baseWindow: 'draft',
    baseWindowId: 'window-1',
    model: 'small',
    dialect: 'responses',
    turns: 7,
    usage: { promptTokens: 10, completionTokens: 0, totalTokens: 10, cachedTokens: 0 },
    limit: 4096,
    thaw: {
      window: 'draft',
      sessionId: 'session-1',
      tokens: 600,
      restoredTokens: null,
      recomputedTokens: 88,
      tiersBefore: { total: 2, l1: 0, l2: 2, backends: {} },
      drift: false,
      ms: {},
      at: noon,
      warnings: [],
    },
  })
}
