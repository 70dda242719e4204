// One order for many sessions: what of their lineages is retired, erased, and reported.

import { expect, it } from 'vitest'
import { anOrder, aWindow } from '../../test/contracts/store/sample-records.ts'
import { CwmError } from '../base/errors.ts'
import type { EraseOrder, EraseReceipt } from '../kv/kv.ts'
import { executeExpiry } from './execute-expiry.ts'
import type { DeletionParts } from './parts.ts'

const order = anOrder({
  kind: 'sessions',
  name: '3',
  lineage: 'a',
  lineages: ['a', 'b', 'c'],
  spaces: [{ model: 'small', kvEpoch: 0 }],
})

/** `held`: lineages that others hold. */
async function expire(erase: (given: EraseOrder) => Promise<EraseReceipt>, held: readonly string[] = []) {
  const retired: string[] = []
  const removed: string[] = []
  const parts = {
    store: {
      retireLineages: async (_tenant: string, lineages: readonly string[]) =>
        lineages.filter((one) => !held.includes(one)),
      holdersOf: async () => ({ sessions: 1, windows: [aWindow()] }),
    },
    kv: { open: async () => ({ erase }), invalidate: () => {} },
    sessions: { retired: (_tenant: string, lineage: string) => retired.push(lineage) },
    quotas: { remove: async (salt: string) => void removed.push(salt) },
    now: () => 0,
    saltOf: ({ lineage }: { lineage: string }) => `salt of ${lineage}`,
  } as unknown as DeletionParts
  return { ...(await executeExpiry(parts, order)), retired, removed }
}

const clean = { deletedChunks: 7, residualChunks: 0, keptChunks: 0, warnings: [] }

it('retires all lineages, and erases all salts at once', async () => {
  const asked: EraseOrder[] = []

  const { receipt, unpinned, waits, retired, removed } = await expire(async (given) => {
    asked.push(given)
    return clean
  })

  const salts = ['salt of a', 'salt of b', 'salt of c']
  expect(asked).toMatchObject([{ sequences: [], keep: [], salts: new Set(salts) }])
  expect(receipt).toMatchObject({
    deletedChunks: 7,
    residualChunks: 0,
    keptFor: [],
    lineageRetired: true,
    unpinned: null,
  })
  expect([unpinned, waits, retired, removed]).toEqual([true, false, ['a', 'b', 'c'], salts])
})

it('erases nothing of a lineage that somebody came to hold', async () => {
  const asked: EraseOrder[] = []

  const { receipt, retired } = await expire(
    async (given) => {
      asked.push(given)
      return clean
    },
    ['b'],
  )

  expect(asked[0]?.salts).toEqual(new Set(['salt of a', 'salt of c']))
  expect(retired).toEqual(['a', 'c'])
  expect(receipt).toMatchObject({ keptFor: ['session', 'window'], lineageRetired: false })
})

it('leaves the residue unknown where the KV layer fails', async () => {
  const { receipt } = await expire(async () => {
    throw new CwmError('LMCACHE_UNREACHABLE', 'the coordinator is away')
  })

  expect(receipt).toMatchObject({ deletedChunks: 0, residualChunks: null, warnings: ['the coordinator is away'] })
})
