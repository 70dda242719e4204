// What deleting an ended session leaves for the windows of its lineage while the engine that computed their KV is unknown.

import { expect, it } from 'vitest'
import { anOrder, aWindow, someContent } from '../../test/contracts/store/sample-records.ts'
import { aFleet } from '../../test/support/engines.ts'
import type { KvHandle, KvSpace, WindowRecord } from '../base/records.ts'
import type { EraseOrder, KvBackend, KvLink } from '../kv/kv.ts'
import { executeDeletion } from './execute-deletion.ts'
import type { DeletionParts } from './parts.ts'

const spaces: readonly KvSpace[] = [{ model: 'small', kvEpoch: 0 }]
const ids = Uint32Array.of(1, 2, 3)
const keys: KvHandle = { engineName: './small', slot: 7 }

/** Deletes the session behind the window. Returns the order that the KV layer got, and the receipt. */
async function deleteBeside(window: WindowRecord) {
  let order: EraseOrder | undefined
  const link: Partial<KvLink> = {
    onlyEngine: undefined,
    extentOf: () => ({ chunkSize: 1, chunks: ids.length }),
    erase: (given) => {
      order = given
      return Promise.resolve({ deletedChunks: 0, residualChunks: 0, keptChunks: 0, warnings: [] })
    },
  }
  const parts = {
    store: {
      retireLineage: () => Promise.resolve(false),
      holdersOf: () => Promise.resolve({ sessions: 0, windows: [window] }),
      getWindowContent: () => Promise.resolve(someContent('hello', [...ids])),
    },
    kv: { open: () => Promise.resolve(link), invalidate: () => {} } as unknown as KvBackend,
    fleet: aFleet({ models: { find: () => Promise.reject(new Error('the engine is away')) } }),
    now: () => 0,
    saltOf: () => 'salt',
    kvEpoch: 0,
  } as unknown as DeletionParts
  const { receipt } = await executeDeletion(parts, anOrder({ kind: 'session', spaces }), [ids])
  return { order, receipt }
}

it('keeps what a window holds under the handle that it was pinned with', async () => {
  const { order } = await deleteBeside(aWindow({ state: 'frozen', kvEpoch: 0, pin: 'pinned', keys }))

  expect(order).toMatchObject({ keep: [{ tokenIds: ids, salt: 'salt', handle: keys }], salts: new Set(['salt']) })
})

it('does not scan a salt under which a window holds chunks that cannot be named, and reports a possible residue', async () => {
  const { order, receipt } = await deleteBeside(aWindow({ state: 'frozen', kvEpoch: 0 }))

  expect(order).toMatchObject({ keep: [], salts: new Set() })
  expect(receipt.residualChunks).toBeNull()
  expect(receipt.warnings).toEqual([expect.stringContaining('cannot be named')])
})
