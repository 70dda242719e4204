// Ends sessions that nobody has used for long: theirs is KV in every tier, and rows in the store.

import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'

/** Sessions ended in one run; the next run takes up where it ended. */
const PER_RUN = 200

/** Ends sessions whose last turn is longer ago than `ttlMs`, each with its KV; 0 ends none. Answers how many. Throws what the store throws. */
export async function endIdleSessions(
  { store, now }: Pick<WindowParts, 'store' | 'now'>,
  deletions: Deletions,
  ttlMs: number,
  signal: AbortSignal,
): Promise<number> {
  if (ttlMs === 0) return 0
  let ended = 0
  for (const session of await store.listIdle(now() - ttlMs, PER_RUN)) {
    if (signal.aborted) break
    if ((await deletions.endSession(session, 'idle', 'cwm')) !== undefined) ended++
  }
  return ended
}
