// Freeze and thaw place their hold when the KV layer requires it: before the warm call or after it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { aWindow, someContent } from '../../test/contracts/store/sample-records.ts'
import { aFleet } from '../../test/support/engines.ts'
import { noLedger } from '../../test/support/no-ledger.ts'
import { createLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { KvHandle, WindowRecord } from '../base/records.ts'
import type { KvBackend, KvLink } from '../kv/kv.ts'
import { openSqliteStore } from '../store/sqlite/sqlite.ts'
import type { Store } from '../store/store.ts'
import { freezeReserved } from './freeze.ts'
import { KvCosts } from './kv-costs.ts'
import type { WindowParts } from './parts.ts'
import { restoreWindow } from './thaw.ts'

const ids = Uint32Array.of(1, 2, 3)
const options = { apiKey: undefined, actor: 'ci' }
let folder: string
let store: Store
/** Calls to engine and KV layer, in order. A hold also records the pin state in the store at that moment. */
let done: string[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-holds-'))
  store = await openSqliteStore({ path: join(folder, 'cwm.sqlite') })
  done = []
})

afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

/** A KV layer that stores each sequence in a slot and finds it by the handle alone. */
function slots(holds: KvBackend['holds']): KvBackend {
  const capabilities = { pin: true, quota: false }
  const unused = () => Promise.reject(new Error('not used here'))
  const placement = { tiers: { total: 1, l1: 1, l2: null, backends: {} }, restorableTokens: ids.length, chunkBytes: 96 }
  const link: KvLink = {
    capabilities,
    onlyEngine: './small',
    plan: (engineName): KvHandle => ({ engineName, slot: 7 }),
    extentOf: (_, tokens) => ({ chunkSize: tokens, chunks: 1 }),
    locate: () => Promise.resolve(placement),
    verify: () => Promise.resolve({ ...placement, durability: 'l1', l2Shared: null, notes: [], warnings: [] }),
    hold: async ({ handle }) => {
      const stored = await store.getWindow('acme', 'draft')
      done.push(`hold slot ${handle.slot}, stored as ${stored?.pin} ${stored?.keys?.slot}`)
    },
    isHeld: unused,
    release: unused,
    prefetch: unused,
    erase: unused,
    ensureSpace: unused,
    dropSpace: unused,
  }
  return {
    expects: capabilities,
    holds,
    open: () => Promise.resolve(link),
    invalidate: () => {},
    health: () => Promise.resolve({ ok: true, pins: true, warnings: [], servers: [] }),
  }
}

function parts(kv: KvBackend): WindowParts {
  const some: Partial<WindowParts> = {
    store,
    kv,
    fleet: aFleet({
      models: {
        find: () => Promise.resolve({ id: 'small', engineName: './small', limit: 100, contextLimit: 100 }),
      },
      tokenIds: () => Promise.resolve(ids),
      warm: () => {
        done.push('warm')
        return Promise.resolve({ cachedTokens: 0, promptTokens: 3 })
      },
    }),
    ledger: noLedger,
    log: createLogger('silent'),
    metrics: createMetrics(),
    now: () => Date.now(),
    saltOf: () => 'salt',
    kvEpoch: 0,
    policyOf: () => ({ kvQuotaGb: 8 }) as ReturnType<WindowParts['policyOf']>,
    quotas: { ensure: () => undefined, remove: async () => {} },
    costs: new KvCosts(),
    verifyDeadlineMs: 0,
  }
  return some as WindowParts
}

const held = 'hold slot 7, stored as pinning 7'
const cases = [
  ['before-warm', [held, 'warm']],
  ['after-warm', ['warm', held]],
] as const

it.each(cases)('a freeze holds %s and stores the handle first', async (holds, calls) => {
  const content = someContent()
  await store.reserveWindow(aWindow(), content)

  const frozen = await freezeReserved(
    parts(slots(holds)),
    aWindow(),
    { prompt: content.prompt, replyAt: 0, promptTokens: undefined },
    options,
  )

  expect(done).toEqual(calls)
  expect(frozen).toMatchObject({ state: 'frozen', pin: 'pinned', keys: { engineName: './small', slot: 7 } })
  expect(frozen.receipt).toMatchObject({ pinned: true, durability: 'l1', restorableTokens: ids.length })
})

it.each(cases)('a thaw restores a released hold %s', async (holds, calls) => {
  const content = { ...someContent(), tokenIds: ids }
  const record: WindowRecord = { ...aWindow(), state: 'frozen', pin: 'released', kvEpoch: 0 }
  await store.reserveWindow(record, content)
  const base = { record, ...content, isDeleted: false, texts: [], outerSystem: undefined, json: [] }

  const receipt = await restoreWindow(parts(slots(holds)), base, 'bob', options)

  expect(done).toEqual(calls)
  expect(receipt.warnings).toEqual([])
  expect((await store.getWindow('acme', 'draft'))?.pin).toBe('pinned')
})
