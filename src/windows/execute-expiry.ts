// Executes an order for sessions that expired together: retires their lineages, and deletes everything under their salts in one pass.

import type { DeletionRecord, KeptFor } from '../base/deletion-records.ts'
import { openIfReachable } from '../kv/open.ts'
import { eraseSalts } from './erase-salts.ts'
import type { ExecutedDeletion } from './execute-deletion.ts'
import type { DeletionParts } from './parts.ts'
import { StepTimer } from './step-timer.ts'

/** Like `executeDeletion`. A lineage with a new holder is left to that holder's own order. */
export async function executeExpiry(parts: DeletionParts, order: DeletionRecord): Promise<ExecutedDeletion> {
  const { store, kv, now, sessions, quotas } = parts
  const { tenant, lineages = [order.lineage] } = order
  const steps = new StepTimer(now)
  const warnings: string[] = []
  // This comes first: once deletion begins, nothing may store new chunks under the lineages.
  const retired = await steps.time('retire', () => store.retireLineages(tenant, lineages))
  for (const lineage of retired) {
    sessions.retired(tenant, lineage)
    parts.releasedKeys?.lineageIdle(tenant, lineage)
  }
  const link = await openIfReachable(kv, warnings)
  const salts = saltsOf(parts, order, retired)
  const erased = await steps.time('delete', () => eraseSalts(kv, link, salts, warnings))
  for (const salt of salts) await quotas.remove(salt)
  const receipt = {
    deletedChunks: (order.receipt?.deletedChunks ?? 0) + erased.deletedChunks,
    residualChunks: erased.residualChunks,
    keptChunks: 0,
    keptFor: await holdersOfOthers(parts, tenant, lineages, retired),
    unpinned: null,
    lineageRetired: retired.length === lineages.length,
    ms: { ...steps.ms },
    warnings,
  }
  return { receipt, unpinned: true, waits: false }
}

function saltsOf({ saltOf }: DeletionParts, { tenant, spaces }: DeletionRecord, lineages: readonly string[]) {
  return new Set(lineages.flatMap((lineage) => spaces.map((space) => saltOf({ ...space, tenant, lineage }))))
}

/** The holders of the lineages that could not be retired. */
async function holdersOfOthers(
  { store }: DeletionParts,
  tenant: string,
  lineages: readonly string[],
  retired: readonly string[],
): Promise<readonly KeptFor[]> {
  const isRetired = new Set(retired)
  const found = new Set<KeptFor>()
  for (const lineage of lineages) {
    if (isRetired.has(lineage)) continue
    const { sessions, windows } = await store.holdersOf(tenant, lineage)
    if (sessions > 0) found.add('session')
    if (windows.length > 0) found.add('window')
  }
  return [...found]
}
