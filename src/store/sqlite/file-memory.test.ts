// Compares a store that remembers its writes with one that reads the file each time.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aBoundary, anOrder, aSession, noon, readAll } from '../../../test/contracts/store/sample-records.ts'
import type { SessionRecord } from '../../base/records.ts'
import type { Store } from '../store.ts'
import { openSqliteStore } from './sqlite.ts'

let folder: string
let stores: Store[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-memory-'))
  stores = []
})

afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()))
  rmSync(folder, { recursive: true, force: true })
})

async function open(name: string, soleWriter: boolean): Promise<Store> {
  const store = await openSqliteStore({ path: join(folder, name), soleWriter })
  stores.push(store)
  return store
}

const digests = ['a', 'b', 'c', 'd', 'e', 'f']
const ids = ['one', 'two', 'three']
const tenants = ['acme', 'globex']

const session = fc.record({ tenant: fc.constantFrom(...tenants), id: fc.constantFrom(...ids) })
const turn = fc.record({
  kind: fc.constant('turn' as const),
  session,
  at: fc.integer({ min: 0, max: 20 }),
  boundaries: fc.array(
    fc.record({
      digest: fc.constantFrom(...digests),
      rank: fc.constantFrom(0, 1, 9),
      lasts: fc.integer({ min: 1, max: 40 }),
    }),
    { maxLength: 3 },
  ),
  keep: fc.integer({ min: 1, max: 2 }),
  head: fc.constantFrom(0, 0, 0, 1),
  model: fc.constantFrom('small', 'large'),
  isNew: fc.boolean(),
})
const step = fc.oneof(
  { weight: 8, arbitrary: turn },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bind' as const), session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('begin' as const), session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('retire' as const), session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const), at: fc.integer({ min: 0, max: 60 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), tenant: fc.constantFrom(...tenants) }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** `run` separates the tenants of different runs. */
async function take(store: Store, step: Step, run: number): Promise<unknown> {
  if (step.kind === 'expire') return await store.dropExpired(noon + step.at, 3)
  if (step.kind === 'forget') return await store.forgetTenant(`${step.tenant}-${run}`)
  const { id } = step.session
  const tenant = `${step.session.tenant}-${run}`
  const lineage = `lineage-${id}`
  const stored = await store.getSession(tenant, id)
  if (step.kind === 'retire') return await store.retireLineage(tenant, lineage)
  if (step.kind === 'begin') {
    return await store.getOrCreateSession(aSession({ tenant, id, lineage })).catch(({ code }) => code)
  }
  if (step.kind === 'remove') {
    return stored && (await store.removeSession(stored, anOrder({ tenant, id: `d-${Math.random()}` }), []))
  }
  if (step.kind === 'bind') {
    return stored && (await store.bindSession({ ...stored, head: stored.head + 1, lineage: `${lineage}-bound` }, false))
  }
  const record: SessionRecord = aSession({
    tenant,
    id,
    lineage: stored?.lineage ?? lineage,
    head: (stored?.head ?? 0) + step.head,
    lastTurnAt: noon + step.at,
    named: false,
    spaces: [{ model: step.model, kvEpoch: 0 }],
  })
  const boundaries = step.boundaries.map(({ digest, rank, lasts }) =>
    aBoundary({ tenant, sessionId: id, digest, rank, expiresAt: noon + step.at + lasts }),
  )
  return await store.saveTurn(record, { boundaries, keepBoundaries: step.keep }, step.isNew)
}

async function stateOf(store: Store, run: number): Promise<unknown> {
  const state: unknown[] = []
  for (const tenant of tenants.map((name) => `${name}-${run}`)) {
    for (const id of ids) state.push(await store.getSession(tenant, id))
    for (const at of [0, 10, 30]) state.push(Object.fromEntries(await store.findBoundaries(tenant, digests, noon + at)))
    state.push(await store.findBoundaries(tenant, ['never stored'], noon), await store.usageOf(tenant))
    state.push(await readAll((page) => store.listSessions(tenant, page), 2))
    for (const id of ids) state.push((await store.holdersOf(tenant, `lineage-${id}`)).sessions)
  }
  // Sorted: of sessions that were idle equally long, either may come first.
  for (const lasting of [true, false]) {
    const idle = await store.listIdle(noon + 15, lasting, 10)
    state.push(idle.map(({ tenant, id }) => `${tenant} ${id}`).sort())
  }
  state.push(await store.usageOfAll())
  return state
}

/** So that the next run finds no idle sessions but its own. */
async function removeAll(store: Store, run: number): Promise<void> {
  for (const tenant of tenants.map((name) => `${name}-${run}`)) {
    for (const id of ids) {
      const stored = await store.getSession(tenant, id)
      if (stored !== undefined) await store.removeSession(stored, anOrder({ tenant, id: `d-${Math.random()}` }), [])
    }
  }
}

describe('what a sole writer remembers', () => {
  it('equals what a store reads while another connection writes', async () => {
    const remembering = await open('sole.db', true)
    const shared = [await open('shared.db', false), await open('shared.db', false)] as const
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        run++
        for (const [n, one] of steps.entries()) {
          const [writer, reader] = n % 2 === 0 ? shared : [shared[1], shared[0]]
          expect(await take(remembering, one, run)).toEqual(await take(writer, one, run))
          expect(await stateOf(remembering, run)).toEqual(await stateOf(reader, run))
        }
        await removeAll(remembering, run)
        await removeAll(shared[0], run)
      }),
      { numRuns: 100 },
    )
  }, 60_000)

  it('is dropped when a transaction is rolled back', async () => {
    const store = await open('cwm.db', true)
    const trace = { boundaries: [aBoundary()], keepBoundaries: 4, mayWait: true }
    const fine = store.saveTurn(aSession(), trace, true)
    const boundary = { ...aBoundary({ digest: 'b', sessionId: 'two' }), expiresAt: Number.NaN }
    const failing = store.saveTurn(aSession({ id: 'two' }), { ...trace, boundaries: [boundary] }, true)

    await store.getSession('acme', 'nobody')

    await expect(fine).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(failing).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await store.findBoundaries('acme', ['digest-1', 'b'], noon)).toEqual(new Map())
    expect(await store.saveTurn(aSession(), trace, false)).toBe('gone')
  })
})
