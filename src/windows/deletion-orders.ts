// Deletion orders: written to the store when something is removed, before the KV layer is called.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { randomId } from '../base/ids.ts'
import type { KvSpace, SessionRecord, WindowRecord } from '../base/records.ts'
import type { WindowParts } from './parts.ts'

/** Delay before a deletion is repeated, for chunks that arrive late: docs/engine-behavior.md#late-stores. */
export const RECHECK_DELAY_MS = 30_000

/** The fields common to all orders. If this process dies before its first attempt, another run picks the order up after `retryMs`. */
export function newOrder(
  kind: DeletionRecord['kind'],
  holder: WindowRecord | SessionRecord,
  name: string,
  at: number,
  retryMs: number,
) {
  const { tenant, lineage, shared } = holder
  return {
    tenant,
    id: randomId(),
    kind,
    name,
    lineage,
    ...(shared === undefined ? {} : { shared }),
    state: 'open' as const,
    at,
    tries: 0,
    nextTryAt: at + retryMs,
  }
}

/** The order for everything that a session stored under its lineage. */
export function sessionOrder(session: SessionRecord, at: number, retryMs: number): DeletionRecord {
  const { spaces, spacesLost } = session
  return {
    ...newOrder('session', session, session.id, at, retryMs),
    spaces,
    ...(spacesLost === true ? { spacesLost } : {}),
    pin: 'none',
  }
}

/** Stores an order for what a thaw computed under a window's lineage without binding a session to it: nothing else may know of it. */
export async function orderThawCleanup(
  { store, now }: Pick<WindowParts, 'store' | 'now'>,
  window: WindowRecord,
  space: KvSpace,
  tokenIds: Uint32Array,
): Promise<void> {
  const order = newOrder('window', window, window.name, now(), RECHECK_DELAY_MS)
  await store.addDeletion({ ...order, spaces: [space], pin: 'none' }, tokenIds.length === 0 ? [] : [tokenIds])
}

/**
 * Stores an order for what a session leaves under a lineage before it moves to another; after the move nothing else would know of it.
 * It is written before the session is rebound, so a crash in between only costs one needless check.
 */
export async function orderLineageCleanup(
  { store, now }: Pick<WindowParts, 'store' | 'now'>,
  session: SessionRecord,
): Promise<void> {
  if (session.spaces.length === 0) return
  await store.addDeletion(sessionOrder(session, now(), RECHECK_DELAY_MS), [])
}
