// The lineage of one reduction. Nothing else uses it, so no other request can hit the KV of the answers. It is retired once the reduction is
// over. The order to delete its KV is stored first, so that a crash leaves nothing behind.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import { requestLineage } from '../base/request-lineage.ts'
import { RECHECK_DELAY_MS } from '../windows/deletion-orders.ts'
import type { WindowParts } from '../windows/parts.ts'

/** When the order is due if this process dies first. No reduction takes longer. */
const CRASHED_DUE_MS = 90 * 60_000

type LineageParts = Pick<WindowParts, 'store' | 'saltOf' | 'kvEpoch' | 'now' | 'log'> & {
  /** False: there is no KV layer, so there is nothing to delete. */
  readonly keepsKv: boolean
}

export interface FreshLineage {
  readonly lineage: string
  readonly salt: string
  /** To be called before each dispatch. Throws `BUSY` if the lineage was retired: its tenant is being erased. */
  check(): Promise<void>
}

/** Runs work under a new lineage, and retires the lineage however the work ends. Throws what the store and the work throw. */
export async function inFreshLineage<T>(
  parts: LineageParts,
  { tenant, model }: { readonly tenant: string; readonly model: string },
  work: (lineage: FreshLineage) => Promise<T>,
): Promise<T> {
  const { store, saltOf, kvEpoch, now, keepsKv } = parts
  const block = randomId()
  const space = { model, kvEpoch }
  const order = orderOf(tenant, block, space, now())
  if (keepsKv) await store.addDeletion(order, [])
  const lineage = requestLineage(block, 0)
  const check = async () => {
    if (await store.isRetired(tenant, block))
      throw new CwmError('BUSY', 'the reduction was ended: its tenant is being erased')
  }
  try {
    return await work({ lineage, salt: saltOf({ ...space, tenant, lineage }), check })
  } finally {
    await retire(parts, order)
  }
}

/** Never rejects: the reduction's result is valid, whatever the store does now. */
async function retire(
  { store, now, log, keepsKv }: LineageParts,
  { tenant, id, lineage }: DeletionRecord,
): Promise<void> {
  try {
    await store.retireLineage(tenant, lineage)
    // Not at once: LMCache stores late.
    if (keepsKv) await store.changeDeletion(tenant, id, { nextTryAt: now() + RECHECK_DELAY_MS })
  } catch (thrown) {
    log.warn({ delete: id, err: toCwmError(thrown) }, 'the KV of a reduction is deleted later than usual')
  }
}

function orderOf(tenant: string, lineage: string, space: DeletionRecord['spaces'][number], at: number): DeletionRecord {
  return {
    tenant,
    id: randomId(),
    kind: 'requests',
    name: '1',
    lineage,
    requests: 1,
    spaces: [space],
    pin: 'none',
    state: 'open',
    at,
    tries: 0,
    nextTryAt: at + CRASHED_DUE_MS,
  }
}
