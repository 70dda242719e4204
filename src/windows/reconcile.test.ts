// The reconciler against a real store, with a minimal engine and KV layer.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { aWindow, someContent } from '../../test/contracts/store/sample-records.ts'
import { aFleet } from '../../test/support/engines.ts'
import { noLedger } from '../../test/support/no-ledger.ts'
import { BackgroundSlots } from '../admission/background.ts'
import { CwmError } from '../base/errors.ts'
import { createLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { noKv } from '../kv/none/none.ts'
import { openSqliteStore } from '../store/sqlite/sqlite.ts'
import type { Store } from '../store/store.ts'
import { KvCosts } from './kv-costs.ts'
import type { WindowParts } from './parts.ts'
import { Reconciler } from './reconcile.ts'
import { Windows } from './windows.ts'
import { WindowsInUse } from './windows-in-use.ts'

let folder: string
let store: Store

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-windows-'))
  store = await openSqliteStore({ path: join(folder, 'cwm.sqlite') })
})

afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

const engine = {
  models: { find: () => Promise.resolve({ id: 'small', engineName: './small', limit: 100, contextLimit: 100 }) },
  tokenIds: () => Promise.resolve(Uint32Array.of(1, 2, 3)),
  warm: () => Promise.resolve({ cachedTokens: 0, promptTokens: 3 }),
}

function parts(change: Partial<WindowParts> = {}): WindowParts {
  const some = {
    store,
    fleet: aFleet(engine),
    kv: noKv,
    log: createLogger('silent'),
    metrics: createMetrics(),
    now: () => Date.now(),
    audit: { record: () => {} },
    events: { emit: () => {} },
    ledger: noLedger,
    saltOf: () => 'salt',
    kvEpoch: 0,
    policyOf: () => ({ kvQuotaGb: 8 }),
    quotas: { ensure: () => undefined, remove: async () => {} },
    costs: new KvCosts(),
    verifyDeadlineMs: 0,
    maxBaseBytes: 1024,
    inUse: new WindowsInUse(store, createMetrics()),
    freezeSlots: new BackgroundSlots({ kind: 'freezes', slots: 1, boundOf: () => undefined }, createMetrics()),
    ...change,
  }
  return some as unknown as WindowParts
}

// Found on the real engine: after a kill -9 the freeze was finished in one second, but waiting callers learned of it after twenty.
it('notifies callers that wait for a window when it has finished the freeze', async () => {
  await store.reserveWindow(aWindow(), someContent())
  const windows = new Windows(parts(), { bind: async () => 'saved' as const })
  const waiting = windows.showSettled('acme', 'draft', 5_000)

  const start = performance.now()
  await new Reconciler(parts(), windows, () => undefined).run(new AbortController().signal)
  const view = await waiting

  expect(view.state).toBe('frozen')
  expect(performance.now() - start).toBeLessThan(2_000)
})

it('leaves a window unchanged if cwm stops before the freeze is finished', async () => {
  await store.reserveWindow(aWindow(), someContent())
  const stopping = new AbortController()
  const fleet = aFleet({
    ...engine,
    warm: () => {
      stopping.abort()
      return Promise.reject(new CwmError('CLIENT_GONE', 'the call was given up'))
    },
  })
  const windows = new Windows(parts({ fleet }), { bind: async () => 'saved' as const })

  const repairs = await new Reconciler(parts({ fleet }), windows, () => undefined).run(stopping.signal)

  expect(repairs.left).toBe(1)
  expect((await windows.show('acme', 'draft')).state).toBe('freezing')
})

it('leaves the other windows of a tenant whose slots are all taken to the next run', async () => {
  for (const [tenant, name] of [
    ['ann', 'a1'],
    ['ann', 'a2'],
    ['bob', 'b1'],
  ] as const) {
    await store.reserveWindow(aWindow({ tenant, name, id: name }), someContent())
  }
  const asked: string[] = []
  const run = async (tenant: string, work: () => Promise<unknown>) => {
    asked.push(tenant)
    if (tenant === 'ann') throw new CwmError('OVERLOADED', 'no slot came free')
    return await work()
  }
  const freezeSlots = { run } as unknown as BackgroundSlots
  const windows = new Windows(parts(), { bind: async () => 'saved' as const })

  const repairs = await new Reconciler(parts({ freezeSlots }), windows, () => undefined).run(
    new AbortController().signal,
  )

  expect([asked, repairs.left, repairs.counts.finished]).toEqual([['ann', 'bob'], 2, 1])
})
