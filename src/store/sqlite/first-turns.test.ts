// Compact rows in the file. The contract (test/contracts/store) tests that they look like ordinary sessions.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aBoundary, anOrder, aSession, aTurn, noon, readAll } from '../../../test/contracts/store/sample-records.ts'
import type { SessionRecord } from '../../base/records.ts'
import type { Store } from '../store.ts'
import { openSqliteStore } from './sqlite.ts'

let folder: string
let path: string
let stores: Store[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-first-'))
  path = join(folder, 'cwm.db')
  stores = []
})

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()))
  rmSync(folder, { recursive: true, force: true })
})

async function open(): Promise<Store> {
  const store = await openSqliteStore({ path, soleWriter: true })
  stores.push(store)
  return store
}

/** The file's rows, as a reader sees them. */
function rows(): Readonly<Record<string, number>> {
  const db = new Libsql(path, { readonly: true })
  const of = (table: string) => Number((db.prepare(`SELECT count(*) FROM ${table}`).raw().get() as unknown[])[0])
  const counts = { compact: of('first_turns'), sessions: of('sessions'), boundaries: of('boundaries') }
  db.close()
  return counts
}

const passing = (change: Partial<SessionRecord> = {}) => aSession({ named: false, ...change })

function begin(store: Store, session = passing(), digest = 'digest-1') {
  const boundaries = [aBoundary({ digest, sessionId: session.id, tenant: session.tenant, rank: 9 })]
  return store.saveTurn(session, { boundaries, keepBoundaries: 4 }, true)
}

describe('a first turn', () => {
  it('is a single compact row', async () => {
    const store = await open()

    expect(await begin(store)).toBe('saved')

    expect(rows()).toEqual({ compact: 1, sessions: 0, boundaries: 0 })
    expect(await store.getSession('acme', 'session-1')).toEqual(passing())
    expect(rows()).toEqual({ compact: 1, sessions: 0, boundaries: 0 })
  })

  it('is found by id, history and lineage after a restart', async () => {
    await begin(await open())
    await stores.pop()?.close()

    const store = await open()

    expect(await store.getSession('acme', 'session-1')).toEqual(passing())
    expect(await store.findBoundaries('acme', ['digest-1'], noon)).toEqual(
      new Map([['digest-1', { sessionId: 'session-1' }]]),
    )
    expect(await store.findBoundaries('globex', ['digest-1'], noon)).toEqual(new Map())
    expect((await store.holdersOf('acme', 'lineage-1')).sessions).toBe(1)
    expect((await store.usageOf('acme')).sessions).toBe(1)
    expect(await store.retireLineage('acme', 'lineage-1')).toBe(false)
  })

  it.each<[string, (store: Store) => Promise<unknown>]>([
    ['its next turn', (store) => store.saveTurn(passing({ turns: 2 }), { boundaries: [], keepBoundaries: 4 }, false)],
    ['a thaw into it', (store) => store.bindSession(passing({ head: 1 }), false)],
    ['another session with its history', (store) => begin(store, passing({ id: 'two', lineage: 'other' }))],
    ['the erasure of its tenant', (store) => store.forgetTenant('acme')],
  ])('moves to the ordinary tables before %s', async (_, touch) => {
    const store = await open()
    await begin(store)

    await touch(store)

    expect(rows()).toMatchObject({ compact: 0 })
    expect(await store.getSession('acme', 'session-1')).toBeDefined()
  })

  it('keeps its boundary and displaces older ones when it continues', async () => {
    const store = await open()
    await begin(store)
    for (const [turns, digest] of ['a', 'b', 'c'].entries()) {
      const boundaries = [aBoundary({ digest, rank: 9 })]
      await store.saveTurn(passing({ turns: turns + 2 }), { boundaries, keepBoundaries: 2 }, false)
    }

    expect([...(await store.findBoundaries('acme', ['digest-1', 'a', 'b', 'c'], noon)).keys()]).toEqual(['b', 'c'])
  })

  it('is removed at its end, and its history leads to its next owner', async () => {
    const store = await open()
    await begin(store)
    await store.putRetained('acme', 'session-1', aTurn(), 1_000_000)

    expect(await store.removeSession(passing(), anOrder({ kind: 'session' }), [])).toBe(true)

    expect(rows()).toEqual({ compact: 0, sessions: 0, boundaries: 0 })
    expect(await store.getRetained('acme', 'session-1')).toBeUndefined()
    expect(await store.retireLineage('acme', 'lineage-1')).toBe(true)
    await begin(store, passing({ id: 'two', lineage: 'other' }))
    expect((await store.findBoundaries('acme', ['digest-1'], noon)).get('digest-1')).toEqual({ sessionId: 'two' })
  })

  it('is listed among ordinary sessions in their order, even if more share one time than its row numbers allow', async () => {
    const store = await open()
    const expected: SessionRecord[] = []
    for (let n = 0; n < 150; n++) {
      const session = passing({ id: `s-${n}`, lineage: `l-${n}`, lastTurnAt: noon + Math.floor(n / 100) })
      expected.push(session)
      await begin(store, session, `d-${n}`)
    }

    const newestFirst = (a: SessionRecord, b: SessionRecord) => b.lastTurnAt - a.lastTurnAt || (a.id < b.id ? 1 : -1)
    expect(rows()).toMatchObject({ compact: 114, sessions: 36 })
    expect(await readAll((page) => store.listSessions('acme', page), 7)).toEqual(expected.sort(newestFirst))
    expect((await store.usageOf('acme')).sessions).toBe(150)
    expect(await store.listTenants('', 10)).toEqual(['acme'])
  })

  it('shares its shape with others, and leaves none when its tenant is forgotten', async () => {
    const store = await open()
    await begin(store, passing({ model: 'small' }), 'a')
    await begin(store, passing({ id: 'two', model: 'small' }), 'b')
    await begin(store, passing({ id: 'three', model: 'large' }), 'c')
    const shapes = () => {
      const db = new Libsql(path, { readonly: true })
      const texts = db.prepare('SELECT shape FROM first_turn_shapes').all()
      db.close()
      return texts.length
    }
    expect(shapes()).toBe(2)

    await store.forgetTenant('acme')

    expect(shapes()).toBe(0)
  })

  it('goes to the ordinary tables if too many shapes are in use', async () => {
    const store = await open()
    const saves: Promise<unknown>[] = []
    for (let n = 0; n < 1_030; n++) {
      const session = passing({ id: `s-${n}`, lineage: `l-${n}`, model: `model-${n}`, lastTurnAt: noon + n })
      saves.push(store.saveTurn(session, { boundaries: [], keepBoundaries: 4, mayWait: true }, true))
    }
    await store.usageOfAll()
    await Promise.all(saves)

    expect(rows()).toMatchObject({ compact: 1_024, sessions: 6 })
    expect((await store.usageOfAll()).sessions).toBe(1_030)
  })

  it('is in memory as it is in the file after a transaction that moved, added and failed was rolled back', async () => {
    const store = await open()
    await begin(store)
    const later = { keepBoundaries: 4, mayWait: true }
    const added = passing({ id: 'session-2', lineage: 'lineage-2', tenant: 'globex', model: 'another' })
    const broken = { ...aBoundary({ digest: 'b', sessionId: 'session-3' }), expiresAt: Number.NaN }
    const batch = [
      store.saveTurn(passing({ turns: 2 }), { ...later, boundaries: [aBoundary({ digest: 'digest-2' })] }, false),
      store.saveTurn(added, { ...later, boundaries: [] }, true),
      store.saveTurn(passing({ id: 'session-3', lineage: 'lineage-3' }), { ...later, boundaries: [broken] }, true),
    ]

    const outcomes = await Promise.allSettled(batch)

    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    for (const one of [store, await open()]) {
      expect(await one.getSession('acme', 'session-1')).toEqual(passing())
      expect(await one.findBoundaries('acme', ['digest-1', 'digest-2', 'b'], noon)).toEqual(
        new Map([['digest-1', { sessionId: 'session-1' }]]),
      )
      expect(await one.getSession('globex', 'session-2')).toBeUndefined()
      expect((await one.usageOfAll()).sessions).toBe(1)
    }
    expect(await begin(store, added, 'digest-4')).toBe('saved')
    expect(rows()).toEqual({ compact: 2, sessions: 0, boundaries: 0 })
  })

  it('is unchanged after a transaction was rolled back', async () => {
    const store = await open()
    const fine = store.saveTurn(passing(), { boundaries: [], keepBoundaries: 4, mayWait: true }, true)
    const broken = passing({ id: 'two', lastTurnAt: Number.NaN })
    const failing = store.saveTurn(broken, { boundaries: [], keepBoundaries: 4 }, true)
    await expect(fine).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(failing).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })

    expect(await store.getSession('acme', 'session-1')).toBeUndefined()
    expect(await begin(store)).toBe('saved')
    expect((await store.usageOf('acme')).sessions).toBe(1)
  })
})
