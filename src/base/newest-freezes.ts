// What several processes have noted of a session's automatic freezes: the newest counts, whoever stores its turn last.

import type { AutoFreezes, SessionRecord } from './records.ts'

/** The session with what another record of it says of freezes and cuts that it has not heard of; the session itself where it has heard of all. */
export function withNewestFreezes<S extends Pick<SessionRecord, 'auto' | 'rollover'>>(
  session: S,
  { auto, rollover }: Pick<SessionRecord, 'auto' | 'rollover'>,
): S {
  // A cut that a session has heard of and does not name is one that it has left behind.
  if (auto === undefined || !isBefore(session.auto, auto)) return session
  const isNewer = rollover !== undefined && rollover.at > (session.rollover?.at ?? Number.NEGATIVE_INFINITY)
  return { ...session, auto, ...(isNewer ? { rollover } : {}) }
}

function isBefore(one: AutoFreezes | undefined, other: AutoFreezes): boolean {
  if (one === undefined) return true
  return one.count < other.count || (one.count === other.count && one.at < other.at)
}
