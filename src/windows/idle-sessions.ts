// Ends sessions that nobody has used for long: theirs is KV in every tier, and rows in the store.

import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'

/** Sessions read at once. */
const PAGE = 200

/** Milliseconds after the last turn; 0 ends none. */
export interface IdleTimes {
  /** For sessions with a name or behind a window. */
  readonly lastingMs: number
  /** For all others: when their boundaries have expired, nothing leads to them any more. */
  readonly passingMs: number
}

/** Ends sessions that are idle for longer than that, each with its KV. Answers how many. Throws what the store throws. */
export async function endIdleSessions(
  { store, now }: Pick<WindowParts, 'store' | 'now'>,
  deletions: Pick<Deletions, 'endSession'>,
  { lastingMs, passingMs }: IdleTimes,
  signal: AbortSignal,
): Promise<number> {
  let ended = 0
  for (const [lasting, ttlMs] of [[true, lastingMs] as const, [false, passingMs] as const]) {
    if (ttlMs === 0) continue
    // One that cannot be ended now heads the next page again, so a page that was not ended whole is the last of this run.
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
