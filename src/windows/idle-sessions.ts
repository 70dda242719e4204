// Ends sessions that have been idle for long. They occupy KV in every tier and rows in the store.

import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'

/** Sessions read at once. */
const PAGE = 200

/** Milliseconds after the last turn; 0 disables ending. */
export interface IdleTimes {
  /** For named sessions and sessions with a base window. */
  readonly lastingMs: number
  /** For all others: once their boundaries expire, no request can find them. */
  readonly passingMs: number
}

/** Ends sessions that have been idle for longer than that, with their KV. Returns how many. Throws what the store throws. */
export async function endIdleSessions(
  { store, now }: Pick<WindowParts, 'store' | 'now'>,
  deletions: Pick<Deletions, 'endSession'>,
  { lastingMs, passingMs }: IdleTimes,
  signal: AbortSignal,
): Promise<number> {
  let ended = 0
  for (const [lasting, ttlMs] of [[true, lastingMs] as const, [false, passingMs] as const]) {
    if (ttlMs === 0) continue
    // A session that cannot be ended now is on the next page again, so the run stops after a page that was not ended completely.
    for (let endedOfPage = PAGE; endedOfPage === PAGE; ended += endedOfPage) {
      endedOfPage = 0
      for (const session of await store.listIdle(now() - ttlMs, lasting, PAGE)) {
        if (signal.aborted) return ended + endedOfPage
        if ((await deletions.endSession(session, 'idle', 'cwm')) !== undefined) endedOfPage++
      }
    }
  }
  return ended
}
