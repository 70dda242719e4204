// Ends sessions that nobody has used for long: theirs is KV in every tier, and rows in the store.

import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'

/** Sessions of a kind ended in one run; the next run takes up where it ended. */
const PER_RUN = 200

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
    for (const session of await store.listIdle(now() - ttlMs, lasting, PER_RUN)) {
      if (signal.aborted) return ended
      if ((await deletions.endSession(session, 'idle', 'cwm')) !== undefined) ended++
    }
  }
  return ended
}
