// Executes an order for requests without a session: retires the one lineage that stands for all of theirs, and deletes everything under their
// salts.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { requestLineage } from '../base/request-lineage.ts'
import { openIfReachable } from '../kv/open.ts'
import { eraseSalts } from './erase-salts.ts'
import type { ExecutedDeletion } from './execute-deletion.ts'
import type { DeletionParts } from './parts.ts'
import { StepTimer } from './step-timer.ts'

/** Like `executeDeletion`. A shared lineage is in use until its tenant is erased, so its order waits. */
export async function executeRequests(parts: DeletionParts, order: DeletionRecord): Promise<ExecutedDeletion> {
  const { store, kv, now, sessions, quotas } = parts
  const { tenant, lineage, shared, spaces } = order
  const steps = new StepTimer(now)
  const warnings: string[] = []
  // This comes first: once deletion begins, nothing may store new chunks under the lineages.
  const retired = await steps.time('retire', () => store.retireLineage(tenant, lineage))
  if (retired) sessions.retired(tenant, lineage)
  const salts = retired ? saltsOf(parts, order) : new Set<string>()
  const erased = await steps.time('delete', async () => {
    const link = salts.size === 0 ? undefined : await openIfReachable(kv, warnings)
    return await eraseSalts(kv, link, salts, warnings)
  })
  if (shared !== undefined) for (const salt of salts) await quotas.remove(salt)
  return {
    unpinned: true,
    // A client can make any number of spaces with its own salts, so their orders do not wait: they are given up after a week without use.
    waits: !retired && spaces.every(({ clientSalt }) => clientSalt === undefined),
    receipt: {
      deletedChunks: (order.receipt?.deletedChunks ?? 0) + erased.deletedChunks,
      residualChunks: erased.residualChunks,
      keptChunks: 0,
      keptFor: retired ? [] : ['isolation'],
      unpinned: null,
      lineageRetired: retired,
      ms: { ...steps.ms },
      warnings,
    },
  }
}

function saltsOf({ saltOf }: DeletionParts, { tenant, lineage, requests, spaces }: DeletionRecord): Set<string> {
  const lineages =
    requests === undefined ? [lineage] : Array.from({ length: requests }, (_, n) => requestLineage(lineage, n))
  return new Set(lineages.flatMap((one) => spaces.map((space) => saltOf({ ...space, tenant, lineage: one }))))
}
