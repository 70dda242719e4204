// Erases a tenant: every window and session with its KV, then everything else stored for the tenant.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { CwmError } from '../base/errors.ts'
import { inParallel } from '../base/in-parallel.ts'
import type { WindowRecord } from '../base/records.ts'
import type { Audit } from '../journal/audit.ts'
import type { EventLog } from '../journal/events.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'

/** What several deletions proved together. */
export interface DeletionSum {
  readonly deletedChunks: number
  /** Null if some are unknown. */
  readonly residualChunks: number | null
  readonly lineagesRetired: number
  /** Ids of deletions that are retried in the background; query their status with these. */
  readonly open: readonly string[]
}

export interface Erasure extends DeletionSum {
  readonly windows: number
  readonly sessions: number
  readonly ms: number
}

export interface ErasureParts extends Pick<WindowParts, 'store' | 'now'> {
  readonly audit: Pick<Audit, 'record' | 'settle'>
  /** Pending events of the tenant must be stored before everything is dropped. */
  readonly events: Pick<EventLog, 'settle'>
  readonly ledger: Pick<Ledger, 'forget'>
}

const PAGE = 100
/** Sessions and windows. Each waits for the store and the KV layer several times. */
const AT_ONCE = 8
/** By how much the clocks of other proxies may be ahead. What is created within this time after the beginning is erased too. */
const CLOCKS_MS = 5_000
/** Passes that must find nothing: a turn moves its session to the head of the list, where a pass that began earlier misses it. */
const LAST_PASSES = 2
/** Most open deletions that are listed. */
const MAX_NAMED = 1_000

/**
 * Ends all sessions, then deletes all windows, so that the last holder of each lineage retires it. Then deletes the KV of requests without a
 * session. What the tenant creates in the first seconds is erased too; what it creates later may stay, so that the erasure of a tenant that
 * keeps sending ends. The audit entry of the erasure stays, and open orders stay until they are done. Throws what the store throws, and
 * `WINDOW_NOT_READY` while a window is being frozen; what was erased by then stays erased.
 */
export async function eraseTenant(
  parts: ErasureParts,
  deletions: Deletions,
  tenant: string,
  actor: string,
): Promise<Erasure> {
  const { store, now, audit, events } = parts
  const start = now()
  const orders = await deleteAll(parts, deletions, tenant, actor)
  const requests = [...(await deletions.eraseRequests(tenant, false))]
  // KV shared by user or tenant was kept until now. With nothing left to claim it, it is deleted too.
  const kept = orders.filter(({ receipt }) => receipt?.keptFor.includes('isolation'))
  await Promise.all([audit.settle(), events.settle(), parts.ledger.forget(tenant)])
  await store.forgetTenant(tenant)
  const rest: DeletionRecord[] = []
  for (const order of distinct(kept)) rest.push(await deletions.reschedule(order))
  requests.push(...(await deletions.eraseRequests(tenant, true)))
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
    ...sumOfDeletions([...orders.filter((order) => !kept.includes(order)), ...rest, ...requests]),
    ms: now() - start,
  }
}

/** Ends sessions and deletes windows until none is left that existed at the beginning. Returns the orders. */
async function deleteAll(
  { store, now }: ErasureParts,
  deletions: Deletions,
  tenant: string,
  actor: string,
): Promise<readonly DeletionRecord[]> {
  const orders = new Map<string, DeletionRecord>()
  const add = (order: DeletionRecord | undefined) => {
    if (order !== undefined) orders.set(order.id, order)
  }
  // A tenant that keeps sending creates sessions as fast as they are ended. Without this end, its erasure would not end either.
  const until = now() + CLOCKS_MS
  for (let passesWithout = 0; passesWithout < LAST_PASSES; passesWithout++) {
    for await (const sessions of sessionsBefore(store, tenant, until)) {
      await inParallel(sessions, AT_ONCE, async (one) => add(await deletions.endSession(one, 'erased', actor)))
      if (sessions.length > 0) passesWithout = -1
    }
    const windows = await store.listWindows(tenant, { limit: PAGE, createdBefore: until })
    await inParallel(windows.items, AT_ONCE, async (one) => add(await deleteIfThere(deletions, one, actor)))
    if (windows.items.length > 0) passesWithout = -1
  }
  return [...orders.values()]
}

/** A page at a time. */
async function* sessionsBefore(store: ErasureParts['store'], tenant: string, until: number) {
  let cursor: string | undefined
  do {
    const page = await store.listSessions(tenant, { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) })
    yield page.items.filter(({ createdAt }) => createdAt < until)
    cursor = page.nextCursor
  } while (cursor !== undefined)
}

export function sumOfDeletions(orders: readonly DeletionRecord[]): DeletionSum {
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

/** Undefined if another process deleted it meanwhile. */
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

/** One order per lineage and its spaces: the sessions of a lineage leave the same chunks under the same salts. */
function distinct(orders: readonly DeletionRecord[]): readonly DeletionRecord[] {
  return [...new Map(orders.map((order) => [JSON.stringify([order.lineage, order.spaces]), order])).values()]
}
