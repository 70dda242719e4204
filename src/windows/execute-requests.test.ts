// Orders for requests without a session: what is retired and erased, and how long a shared lineage is waited for.

import { expect, it } from 'vitest'
import { anOrder } from '../../test/contracts/store/sample-records.ts'
import type { DeletionRecord } from '../base/deletion-records.ts'
import type { EraseOrder } from '../kv/kv.ts'
import { executeRequests } from './execute-requests.ts'
import type { DeletionParts } from './parts.ts'

const space = { model: 'small', kvEpoch: 0 }
const block = anOrder({ kind: 'requests', name: '3', lineage: 'block', requests: 3, spaces: [space] })
const shared: DeletionRecord = { ...anOrder({ kind: 'requests', lineage: 'all', spaces: [space] }), shared: 'tenant' }

async function execute(order: DeletionRecord, isHeld = false) {
  const asked: EraseOrder[] = []
  const retired: string[] = []
  const removed: string[] = []
  const erase = async (given: EraseOrder) => {
    asked.push(given)
    return { deletedChunks: 7, residualChunks: 0, keptChunks: 0, warnings: [] }
  }
  const parts = {
    store: { retireLineage: async () => !isHeld },
    kv: { open: async () => ({ erase }), invalidate: () => {} },
    sessions: { retired: (_tenant: string, lineage: string) => retired.push(lineage) },
    quotas: { remove: async (salt: string) => void removed.push(salt) },
    now: () => 0,
    saltOf: ({ lineage }: { lineage: string }) => `salt of ${lineage}`,
  } as unknown as DeletionParts
  return {
    ...(await executeRequests(parts, order)),
    salts: asked.map(({ salts }) => [...(salts ?? [])]),
    retired,
    removed,
  }
}

it('retires the one lineage that stands for all, and erases the salts of all in one pass', async () => {
  const { receipt, waits, salts, retired, removed } = await execute(block)

  expect(salts).toEqual([['salt of block.0', 'salt of block.1', 'salt of block.2']])
  expect(receipt).toMatchObject({ deletedChunks: 7, residualChunks: 0, keptFor: [], lineageRetired: true })
  expect([waits, retired, removed]).toEqual([false, ['block'], []])
})

it('erases nothing of a shared lineage in use, and waits for the erasure of its tenant', async () => {
  const { receipt, waits, salts } = await execute(shared, true)

  expect(receipt).toMatchObject({ deletedChunks: 0, residualChunks: 0, keptFor: ['isolation'], lineageRetired: false })
  expect([waits, salts]).toEqual([true, []])
})

it("does not wait in a space of a client's own salt, of which there may be any number", async () => {
  const { waits } = await execute({ ...shared, spaces: [{ ...space, clientSalt: 'mine' }] }, true)

  expect(waits).toBe(false)
})

it('erases a shared lineage that is no longer shared, with its quota', async () => {
  const { salts, removed } = await execute(shared)

  expect([salts, removed]).toEqual([[['salt of all']], ['salt of all']])
})
