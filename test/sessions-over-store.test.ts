// The session tracker on a real store in memory. The test needs two rooms, so it is outside both. A new tracker on the same store acts as a
// restart, or as a second proxy.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { JsonValue } from '../src/base/json.ts'
import { rulesOf } from '../src/dialects/index.ts'
import { chainOf } from '../src/identity/chain.ts'
import type { LiveSession } from '../src/sessions/live-session.ts'
import type { SessionOwner } from '../src/sessions/new-sessions.ts'
import { SessionTracker } from '../src/sessions/tracker.ts'
import { openSqliteStore } from '../src/store/sqlite/sqlite.ts'
import type { Store } from '../src/store/store.ts'

const DAY = 24 * 3_600_000
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const clock = { at: 0 }

async function openStore(path = ':memory:'): Promise<Store> {
  clock.at = 1_000_000
  const store = await openSqliteStore({ path })
  closers.push(() => store.close())
  return store
}

function trackerOn(store: Store, limits: { maxSessionBytes?: number; maxHistoryBytes?: number } = {}): SessionTracker {
  return new SessionTracker({
    store,
    now: () => clock.at,
    maxSessionBytes: 256 * 1024,
    maxHistoryBytes: 64 * 1024,
    boundaryTtlMs: DAY,
    responseTtlMs: DAY,
    ...limits,
  })
}

/** The owner of a session: no user named, no limit. */
const by = (tenant: string): SessionOwner => ({ tenant, isolation: 'session', user: undefined })

const user = (content: string) => ({ role: 'user', content })
const assistant = (content: string) => ({ role: 'assistant', content })

function chain(messages: readonly JsonValue[], tenant = 't') {
  return chainOf(tenant, messages, (message) => rulesOf('chat').canonical(message))
}

/** One turn as the proxy runs it: found or new, announced, saved. */
async function turn(
  tracker: SessionTracker,
  messages: readonly JsonValue[],
  reply: string,
  { tenant = 't', save = true } = {},
): Promise<{ session: LiveSession; found: boolean; digests: string[] }> {
  const asked = chain(messages, tenant)
  const known = await tracker.byPrefix(tenant, asked)
  const session = known?.kind === 'one' ? known.session : await tracker.unnamed(by(tenant))
  const boundaries = [asked.boundary([assistant(reply)])].filter((boundary) => boundary !== undefined)
  const digests = boundaries.map(({ digest }) => digest)
  session.change({ turns: session.record.turns + 1, lastTurnAt: clock.at })
  tracker.announce(session, digests)
  if (save) await tracker.save(session, boundaries)
  return { session, found: known?.kind === 'one', digests }
}

const first = [user('hi')]
const second = [...first, assistant('hello'), user('more')]

describe('an unnamed session', () => {
  it('is new with every first turn, whatever was sent before by anyone', async () => {
    const tracker = trackerOn(await openStore())

    const a = await turn(tracker, first, 'hello')
    const b = await turn(tracker, first, 'another')

    expect([a.found, b.found]).toEqual([false, false])
    expect(a.session.record.lineage).not.toBe(b.session.record.lineage)
    expect(a.session.record.id).toMatch(/^s-[\w-]{22}$/)
  })

  it('is found by its delivered history', async () => {
    const tracker = trackerOn(await openStore())
    const { session } = await turn(tracker, first, 'hello')

    const next = await turn(tracker, second, 'fine')

    expect(next.session).toBe(session)
    expect(await tracker.byPrefix('t', chain([...second, assistant('fine'), user('x')]))).toEqual({
      kind: 'one',
      session,
    })
  })

  it('is found by a history that continues in a hundred ways, also by another process', async () => {
    const store = await openStore()
    const tracker = trackerOn(store)
    const { session } = await turn(tracker, first, 'hello')

    for (let branch = 0; branch < 100; branch++) {
      const next = await turn(tracker, [...first, assistant('hello'), user(`way ${branch}`)], `reply ${branch}`)
      expect(next.session).toBe(session)
    }

    expect(await trackerOn(store).byPrefix('t', chain(second))).toMatchObject({ kind: 'one' })
  })

  it('is not found by a reply that was never delivered', async () => {
    const tracker = trackerOn(await openStore())
    await turn(tracker, first, 'hello')

    expect(await tracker.byPrefix('t', chain([...first, assistant('other'), user('more')]))).toBeUndefined()
    expect(await tracker.byPrefix('t', chain([user('other'), assistant('hello'), user('more')]))).toBeUndefined()
  })

  it('is found after a restart, with its lineage and turns', async () => {
    const store = await openStore()
    const before = await turn(trackerOn(store), first, 'hello')

    const after = await turn(trackerOn(store), second, 'fine')

    expect(after.found).toBe(true)
    expect(after.session.record).toEqual({ ...before.session.record, turns: 2 })
  })

  it('is not found by another tenant, even with the same scope text', async () => {
    const store = await openStore()
    const tracker = trackerOn(store)
    await turn(tracker, first, 'hello')

    expect(await trackerOn(store).byPrefix('other', chain(second))).toBeUndefined()
    expect(await tracker.byPrefix('other', chain(second))).toBeUndefined()
  })

  it('stays the same when its last turn is regenerated or edited', async () => {
    const tracker = trackerOn(await openStore())
    const { session } = await turn(tracker, first, 'hello')
    await turn(tracker, second, 'fine')

    const again = await turn(tracker, second, 'better')
    const edited = await turn(tracker, [...first, assistant('hello'), user('something else')], 'ok')
    const branch = await turn(tracker, [...second, assistant('fine'), user('back to the first')], 'yes')

    expect([again.session, edited.session, branch.session]).toEqual([session, session, session])
  })

  it('leaves nothing in the store before its first answer', async () => {
    const store = await openStore()

    await turn(trackerOn(store), first, 'hello', { save: false })

    expect((await store.listSessions('t', { limit: 10 })).items).toEqual([])
    expect(await trackerOn(store).byPrefix('t', chain(second))).toBeUndefined()
  })
})

describe('an announcement', () => {
  it('is visible at once, before the turn is saved', async () => {
    const tracker = trackerOn(await openStore())
    const { session } = await turn(tracker, first, 'hello', { save: false })

    expect(await tracker.byPrefix('t', chain(second))).toEqual({ kind: 'one', session })
  })

  it('is removed when it is withdrawn', async () => {
    const tracker = trackerOn(await openStore())
    const { digests } = await turn(tracker, first, 'hello', { save: false })

    tracker.retract(digests)

    expect(await tracker.byPrefix('t', chain(second))).toBeUndefined()
  })

  it('that is withdrawn keeps what was saved: a regenerated answer whose client disconnected', async () => {
    const tracker = trackerOn(await openStore())
    const { session } = await turn(tracker, first, 'hello')
    const { digests } = await turn(tracker, second, 'fine')

    tracker.announce(session, digests)
    tracker.retract(digests)

    expect(await tracker.byPrefix('t', chain([...second, assistant('fine'), user('x')]))).toEqual({
      kind: 'one',
      session,
    })
  })
})

const nobodys = { kind: 'ambiguous', behindWindow: false }

describe('two sessions with the same text', () => {
  it('are ambiguous in memory, before either is saved', async () => {
    const tracker = trackerOn(await openStore())
    await turn(tracker, first, 'hello', { save: false })
    await turn(tracker, first, 'hello', { save: false })

    expect(await tracker.byPrefix('t', chain(second))).toEqual(nobodys)
  })

  it('are ambiguous once saved, and after a restart', async () => {
    const store = await openStore()
    const tracker = trackerOn(store)
    const a = await turn(tracker, first, 'hello')
    const b = await turn(tracker, first, 'hello')

    const third = await turn(tracker, second, 'fine')

    expect(third.found).toBe(false)
    expect(new Set([a, b, third].map(({ session }) => session.record.lineage)).size).toBe(3)
    expect(await trackerOn(store).byPrefix('t', chain(second))).toEqual(nobodys)
  })

  it('separate again with the first turn that differs', async () => {
    const tracker = trackerOn(await openStore())
    await turn(tracker, first, 'hello')
    await turn(tracker, first, 'hello')
    const third = await turn(tracker, second, 'fine')

    expect((await turn(tracker, [...second, assistant('fine'), user('x')], 'y')).session).toBe(third.session)
  })

  // A boundary in this memory was treated as the only one, so a stranger's second turn joined the first one's session.
  it('are ambiguous for both if they used different proxies', async () => {
    const store = await openStore()
    const [one, two] = [trackerOn(store), trackerOn(store)]
    await turn(one, first, 'hello')
    await turn(two, first, 'hello')

    expect(await one.byPrefix('t', chain(second))).toEqual(nobodys)
    expect(await two.byPrefix('t', chain(second))).toEqual(nobodys)
  })

  it('are ambiguous if one is saved by another proxy and one is only announced here', async () => {
    const store = await openStore()
    const [one, two] = [trackerOn(store), trackerOn(store)]
    await turn(two, first, 'hello', { save: false })
    await turn(one, first, 'hello')

    expect(await two.byPrefix('t', chain(second))).toEqual(nobodys)
  })

  it('never lead to an older boundary instead', async () => {
    const tracker = trackerOn(await openStore())
    const { session } = await turn(tracker, first, 'hello')
    const longer = chain([...second, assistant('fine'), user('x')])
    const boundary = chain(second).boundary([assistant('fine')]) ?? { digest: '', rank: 0 }
    const [a, b] = [await tracker.unnamed(by('t')), await tracker.unnamed(by('t'))]
    await tracker.save(a, [boundary])
    await tracker.save(b, [boundary])

    expect(await tracker.byPrefix('t', longer)).toEqual(nobodys)
    expect(await tracker.byPrefix('t', chain(second))).toEqual({ kind: 'one', session })
  })
})

describe('expiry', () => {
  it('removes a history that nobody continued, in the store and in memory', async () => {
    const store = await openStore()
    const tracker = trackerOn(store)
    await turn(tracker, first, 'hello')

    clock.at += DAY - 1
    expect(await tracker.byPrefix('t', chain(second))).toBeDefined()
    expect(await trackerOn(store).byPrefix('t', chain(second))).toBeDefined()
    clock.at += 1
    expect(await tracker.byPrefix('t', chain(second))).toBeUndefined()
    expect(await trackerOn(store).byPrefix('t', chain(second))).toBeUndefined()
  })

  it('removes ambiguity too', async () => {
    const tracker = trackerOn(await openStore())
    await turn(tracker, first, 'hello')
    await turn(tracker, first, 'hello')
    clock.at += DAY

    const { session } = await turn(tracker, first, 'hello')

    expect(await tracker.byPrefix('t', chain(second))).toEqual({ kind: 'one', session })
  })

  it('is swept from the store, once', async () => {
    const tracker = trackerOn(await openStore())
    await turn(tracker, first, 'hello')
    await turn(tracker, second, 'fine')

    expect(await tracker.sweep()).toBe(0)
    clock.at += DAY
    expect(await tracker.sweep()).toBe(2)
    expect(await tracker.sweep()).toBe(0)
  })

  it('is swept completely, however much there is', async () => {
    const store = await openStore()
    const tracker = trackerOn(store)
    const { session } = await turn(tracker, first, 'hello')
    const { tenant, id } = session.record
    const digests = Array.from({ length: 1200 }, (_, n) => `digest-${n}`)
    const boundaries = digests.map((digest) => ({ digest, tenant, sessionId: id, expiresAt: clock.at + DAY }))
    await store.saveTurn(session.record, { boundaries, keepBoundaries: 2000 }, false)

    clock.at += DAY

    expect(await tracker.sweep()).toBe(1201)
  })
})

describe('one session', () => {
  it('is one object for all concurrent lookups', async () => {
    const store = await openStore()
    const { session } = await turn(trackerOn(store), first, 'hello')
    const { id } = session.record
    const tracker = trackerOn(store)

    const found = await Promise.all([
      tracker.find('t', id),
      tracker.find('t', id),
      tracker.named(by('t'), id),
      tracker.byPrefix('t', chain(second)).then((hit) => (hit?.kind === 'one' ? hit.session : undefined)),
    ])

    expect(new Set(found).size).toBe(1)
    expect(found[0]?.record.id).toBe(id)
  })

  it('keeps the changes of concurrent turns', async () => {
    const store = await openStore()
    const tracker = trackerOn(store)
    const [a, b] = await Promise.all([tracker.named(by('t'), 'x'), tracker.named(by('t'), 'x')])

    a.change({ turns: 1 })
    b.change({ limit: 4096 })
    await Promise.all([tracker.save(a, []), tracker.save(b, [])])

    expect(await store.getSession('t', 'x')).toMatchObject({ turns: 1, limit: 4096 })
  })

  it('has one lineage if two proxies name it first at the same moment', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cwm-tracker-'))
    closers.push(() => rm(folder, { recursive: true }))
    const path = join(folder, 'cwm.sqlite')
    const [one, two] = [trackerOn(await openStore(path)), trackerOn(await openStore(path))]

    const [a, b] = await Promise.all([one.named(by('t'), 'x'), two.named(by('t'), 'x')])

    expect(a.record.lineage).toBe(b.record.lineage)
  })

  it('of one name is separate in each tenant', async () => {
    const tracker = trackerOn(await openStore())

    const [a, b] = [await tracker.named(by('a'), 'x'), await tracker.named(by('b'), 'x')]

    expect(a.record.lineage).not.toBe(b.record.lineage)
    expect(await tracker.find('c', 'x')).toBeUndefined()
  })

  it('is stored when a client names an unnamed session', async () => {
    const store = await openStore()
    const tracker = trackerOn(store)
    const session = await tracker.unnamed(by('t'))

    expect(await tracker.named(by('t'), session.record.id)).toBe(session)
    expect(await store.getSession('t', session.record.id)).toEqual(session.record)
  })

  it('is found in the store if memory is too small for it', async () => {
    const tracker = trackerOn(await openStore(), { maxSessionBytes: 2048, maxHistoryBytes: 512 })
    const { session } = await turn(tracker, first, 'hello')
    await turn(tracker, [user('stranger')], 'hello')

    expect((await turn(tracker, second, 'fine')).session.record.lineage).toBe(session.record.lineage)
  })
})
