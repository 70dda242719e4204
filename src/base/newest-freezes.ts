// Merges what several processes recorded about a session's automatic freezes: the newest counts, whichever process stores its turn last.

import type { AutoFreezes, SessionRecord } from './records.ts'

/** Returns the session with the newer freezes and cuts of another record of it; the session itself if that record has none. */
export function mergeFreezes<S extends Pick<SessionRecord, 'auto' | 'rollover'>>(
  session: S,
  { auto, rollover }: Pick<SessionRecord, 'auto' | 'rollover'>,
): S {
  // The session knows this cut and does not have it, so it was removed.
  if (auto === undefined || !isBefore(session.auto, auto)) return session
  const isNewer = rollover !== undefined && rollover.at > (session.rollover?.at ?? Number.NEGATIVE_INFINITY)
  return { ...session, auto, ...(isNewer ? { rollover } : {}) }
}

function isBefore(one: AutoFreezes | undefined, other: AutoFreezes): boolean {
  if (one === undefined) return true
  return one.count < other.count || (one.count === other.count && one.at < other.at)
}
