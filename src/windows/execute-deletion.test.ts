// What an ended session's delete leaves to the windows of its lineage while nobody knows the engine that made their KV.

import { expect, it } from 'vitest'
import { anOrder, aWindow, someContent } from '../../test/contracts/store/sample-records.ts'
import type { KvHandle, KvSpace, WindowRecord } from '../base/records.ts'
import type { EraseOrder, KvBackend, KvLink } from '../kv/kv.ts'
import { executeDeletion } from './execute-deletion.ts'
import type { DeletionParts } from './parts.ts'

const spaces: readonly KvSpace[] = [{ model: 'small', kvEpoch: 0 }]
const ids = Uint32Array.of(1, 2, 3)
const keys: KvHandle = { engineName: './small', slot: 7 }

/** Deletes the session behind the window; answers what the KV layer was told to erase, and the receipt. */
async function deleteBeside(window: WindowRecord) {
  let told: EraseOrder | undefined
  const link: Partial<KvLink> = {
    onlyEngine: undefined,
    extentOf: () => ({ chunkSize: 1, chunks: ids.length }),
    erase: (order) => {
      told = order
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
    models: { find: () => Promise.reject(new Error('the engine is away')) },
    now: () => 0,
    saltOf: () => 'salt',
    kvEpoch: 0,
  } as unknown as DeletionParts
  const { receipt } = await executeDeletion(parts, anOrder({ kind: 'session', spaces }), [ids])
  return { told, receipt }
}

it('keeps what a window holds under the handle that it was pinned by', async () => {
  const { told } = await deleteBeside(aWindow({ state: 'frozen', kvEpoch: 0, pin: 'pinned', keys }))

  expect(told).toMatchObject({ keep: [{ tokenIds: ids, salt: 'salt', handle: keys }], salts: new Set(['salt']) })
})

it('scans no salt under which a window holds what nobody can name, and says that something may be left', async () => {
  const { told, receipt } = await deleteBeside(aWindow({ state: 'frozen', kvEpoch: 0 }))

  expect(told).toMatchObject({ keep: [], salts: new Set() })
  expect(receipt.residualChunks).toBeNull()
  expect(receipt.warnings).toEqual([expect.stringContaining('nobody can name them')])
})
