// Orders to delete: what is written into the store when something goes, before anything is asked of LMCache.

import { randomId } from '../base/ids.ts'
import type { DeletionRecord, SessionRecord, WindowRecord } from '../base/records.ts'
import type { WindowParts } from './parts.ts'

/** Until a delete is carried out once more, for chunks that arrive late: docs/engine-behavior.md#late-stores. */
export const RECHECK_DELAY_MS = 30_000

/** The part that all orders have in common. Should this process die before it has tried one, another run takes it up after `retryMs`. */
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

/** For all that a session has put under its lineage. */
export function sessionOrder(session: SessionRecord, at: number, retryMs: number): DeletionRecord {
  const { spaces, spacesLost } = session
  return {
    ...newOrder('session', session, session.id, at, retryMs),
    spaces,
    ...(spacesLost === true ? { spacesLost } : {}),
    pin: 'none',
  }
}

/**
 * Orders what a session has left under a lineage that it is about to leave: from then on nobody else would know of it. Written before the
 * session is bound anew, so that a crash in between costs nothing but a look.
 */
export async function orderLineageCleanup(
  { store, now }: Pick<WindowParts, 'store' | 'now'>,
  session: SessionRecord,
): Promise<void> {
  if (session.spaces.length === 0) return
  await store.addDeletion(sessionOrder(session, now(), RECHECK_DELAY_MS), [])
}
