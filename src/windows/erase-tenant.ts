// Erases a tenant whole: every window and session with its KV, then everything else that is stored of it.

import { CwmError } from '../base/errors.ts'
import type { DeletionRecord, WindowRecord } from '../base/records.ts'
import type { Audit } from '../journal/audit.ts'
import type { EventLog } from '../journal/events.ts'
import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'

export interface Erasure {
  readonly windows: number
  readonly sessions: number
  readonly deletedChunks: number
  /** Null: of some nobody could tell. */
  readonly residualChunks: number | null
  readonly lineagesRetired: number
  /** Deletes that are tried again in the background; each can be asked for by its id. */
  readonly open: readonly string[]
  readonly ms: number
}

export interface ErasureParts extends Pick<WindowParts, 'store' | 'now'> {
  readonly audit: Pick<Audit, 'record' | 'settle'>
  /** What was told of the tenant until then must be stored before all of it is dropped. */
  readonly events: Pick<EventLog, 'settle'>
}

const PAGE = 100
/** Of those still open, how many are named. */
const MAX_NAMED = 1_000

/**
 * Ends all sessions, then deletes all windows, so that the last holder of each lineage retires it. What others make for the tenant meanwhile is
 * taken too, as long as it is made before the last look. The audit entry of the erasure itself stays, and orders that are still open until they
 * are done. Throws what the store throws, and `WINDOW_NOT_READY` while a window is being frozen; what was erased by then stays so.
 */
export async function eraseTenant(
  { store, now, audit, events }: ErasureParts,
  deletions: Deletions,
  tenant: string,
  actor: string,
): Promise<Erasure> {
  const start = now()
  const done = new Map<string, DeletionRecord>()
  const note = (record: DeletionRecord | undefined) => {
    if (record !== undefined) done.set(record.id, record)
  }
  for (;;) {
    const page = await store.listSessions(tenant, { limit: PAGE })
    for (const session of page.items) note(await deletions.endSession(session, 'erased', actor))
    const held = await store.listWindows(tenant, { limit: PAGE })
    for (const window of held.items) note(await deleteIfThere(deletions, window, actor))
    if (page.items.length === 0 && held.items.length === 0) break
  }
  // What was shared by user or tenant stayed until now. Once nobody can claim it any more, it goes like all else.
  const kept = [...done.values()].filter(({ receipt }) => receipt?.keptFor.includes('isolation'))
  await Promise.all([audit.settle(), events.settle()])
  await store.forgetTenant(tenant)
  const rest: DeletionRecord[] = []
  for (const order of distinct(kept)) rest.push(await deletions.reschedule(order))
  const orders = [...done.values()]
  const windows = orders.filter(({ kind }) => kind === 'window').length
  const sessions = orders.length - windows
  audit.record({
    tenant,
    actor,
    action: 'erase',
    target: 'tenant',
    name: tenant,
    outcome: 'ok',
    receipt: { windows, sessions },
  })
  return {
    sessions,
    windows,
    ...sumOf([...orders.filter((order) => !kept.includes(order)), ...rest]),
    ms: now() - start,
  }
}

function sumOf(orders: readonly DeletionRecord[]) {
  const residues = orders.map(({ receipt }) => receipt?.residualChunks ?? null)
  const retired = orders.filter(({ receipt }) => receipt?.lineageRetired === true).map(({ lineage }) => lineage)
  return {
    deletedChunks: orders.reduce((sum, { receipt }) => sum + (receipt?.deletedChunks ?? 0), 0),
    residualChunks: residues.some((residue) => residue === null)
      ? null
      : residues.reduce<number>((sum, residue) => sum + (residue ?? 0), 0),
    lineagesRetired: new Set(retired).size,
    open: orders
      .filter(({ state }) => state === 'open')
      .slice(0, MAX_NAMED)
      .map(({ id }) => id),
  }
}

/** Undefined when somebody else has deleted it meanwhile. */
async function deleteIfThere(
  deletions: Deletions,
  { tenant, name }: WindowRecord,
  actor: string,
): Promise<DeletionRecord | undefined> {
  try {
    return await deletions.deleteWindow(tenant, name, 'erased', actor)
  } catch (thrown) {
    if (thrown instanceof CwmError && thrown.code === 'WINDOW_NOT_FOUND') return undefined
    throw thrown
  }
}

/** One order for each lineage and what it was used with: the sessions of a lineage leave the same chunks under the same salts. */
function distinct(orders: readonly DeletionRecord[]): readonly DeletionRecord[] {
  return [...new Map(orders.map((order) => [JSON.stringify([order.lineage, order.spaces]), order])).values()]
}
