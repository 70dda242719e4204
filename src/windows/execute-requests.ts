// Executes an order for requests without a session: retires the lineage that stands for all of theirs, and deletes what is under their salts.

import { toCwmError } from '../base/errors.ts'
import type { DeletionRecord } from '../base/records.ts'
import { requestLineage } from '../base/request-lineage.ts'
import { openIfReachable } from '../kv/open.ts'
import type { ExecutedDeletion } from './execute-deletion.ts'
import type { DeletionParts } from './parts.ts'
import { StepTimer } from './step-timer.ts'

const ERASE_DEADLINE_MS = 15_000

/** Like `executeDeletion`. A shared lineage is in use until its tenant is erased, so its order waits. */
export async function executeRequests(parts: DeletionParts, order: DeletionRecord): Promise<ExecutedDeletion> {
  const { store, now, sessions, quotas } = parts
  const { tenant, lineage, shared, spaces } = order
  const steps = new StepTimer(now)
  const warnings: string[] = []
  // This comes first: once deletion begins, nothing may store new chunks under the lineages.
  const retired = await steps.time('retire', () => store.retireLineage(tenant, lineage))
  if (retired) sessions.retired(tenant, lineage)
  const salts = retired ? saltsOf(parts, order) : new Set<string>()
  const erased = await steps.time('delete', () => eraseSalts(parts, salts, warnings))
  if (shared !== undefined) for (const salt of salts) await quotas.remove(salt)
  return {
    unpinned: true,
    // A client can make any number of spaces with salts of its own. Those orders are given up after a week without a request.
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

async function eraseSalts({ kv }: DeletionParts, salts: ReadonlySet<string>, warnings: string[]) {
  if (salts.size === 0) return { deletedChunks: 0, residualChunks: 0 }
  const link = await openIfReachable(kv, warnings)
  if (link === undefined) return { deletedChunks: 0, residualChunks: 0 }
  if (link === 'away') return { deletedChunks: 0, residualChunks: null }
  try {
    const done = await link.erase({ sequences: [], keep: [], salts, deadlineMs: ERASE_DEADLINE_MS })
    warnings.push(...done.warnings)
    return done
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'INTERNAL') throw error
    kv.invalidate()
    warnings.push(error.message)
    return { deletedChunks: 0, residualChunks: null }
  }
}

function saltsOf({ saltOf }: DeletionParts, { tenant, lineage, requests, spaces }: DeletionRecord): Set<string> {
  const lineages =
    requests === undefined ? [lineage] : Array.from({ length: requests }, (_, n) => requestLineage(lineage, n))
  return new Set(lineages.flatMap((one) => spaces.map((space) => saltOf({ ...space, tenant, lineage: one }))))
}
