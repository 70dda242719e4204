// Orders to delete: what is written into the store when something goes, before anything is asked of LMCache.

import { randomId } from '../base/ids.ts'
import type { DeletionRecord, SessionRecord, WindowRecord } from '../base/records.ts'
import type { WindowParts } from './parts.ts'

/** Until an order is tried, or tried again, for the first time; should this process die now, the next run takes it up. */
export const FIRST_RETRY_MS = 5_000
/** When turns were broken off, their last chunks may reach LMCache after the delete: it is looked at once more. */
export const LOOK_AGAIN_MS = 30_000

/** The part that all orders have in common. */
export function newOrder(kind: DeletionRecord['kind'], holder: WindowRecord | SessionRecord, name: string, at: number) {
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
    nextTryAt: at + FIRST_RETRY_MS,
  }
}

/** For all that a session has put under its lineage. */
export function sessionOrder(session: SessionRecord, at: number): DeletionRecord {
  const { spaces, spacesLost } = session
  return {
    ...newOrder('session', session, session.id, at),
    spaces,
    ...(spacesLost === true ? { spacesLost } : {}),
    pin: 'none',
  }
}

/**
 * Orders what a session has left under a lineage that it is about to leave: from then on nobody else would know of it. Written before the
 * session is bound anew, so that a crash in between costs nothing but a look.
 */
export async function leaveBehind(
  { store, now }: Pick<WindowParts, 'store' | 'now'>,
  session: SessionRecord,
): Promise<void> {
  if (session.spaces.length === 0) return
  const at = now()
  await store.addDeletion({ ...sessionOrder(session, at), nextTryAt: at + LOOK_AGAIN_MS }, [])
}
