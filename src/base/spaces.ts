// Spaces of KV: which are equal, and how a session's list of them grows.

import type { KvSpace, SessionRecord } from './records.ts'

/** Maximum number of listed spaces, because a client may send a new `cache_salt` with each turn. */
const MAX_SPACES = 64

export function sameSpace(a: KvSpace, b: KvSpace): boolean {
  return a.model === b.model && a.clientSalt === b.clientSalt && a.kvEpoch === b.kvEpoch
}

/** Returns the session with these spaces added, without duplicates and limited to the newest; the session itself if none is new. */
export function addSpaces<S extends Pick<SessionRecord, 'spaces' | 'spacesLost'>>(
  session: S,
  spaces: readonly KvSpace[],
): S {
  const fresh = spaces.filter((space) => !session.spaces.some((known) => sameSpace(known, space)))
  if (fresh.length === 0) return session
  const all = [...session.spaces, ...fresh]
  const lost = all.length > MAX_SPACES ? { spacesLost: true } : {}
  return { ...session, spaces: all.slice(-MAX_SPACES), ...lost }
}
