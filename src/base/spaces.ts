// Spaces of KV: which are the same, and how a session's list of them grows.

import type { KvSpace, SessionRecord } from './records.ts'

/** Spaces kept by name; a client that sends a new `cache_salt` with each turn must not grow its session without end. */
const MAX_SPACES = 64

export function sameSpace(a: KvSpace, b: KvSpace): boolean {
  return a.model === b.model && a.clientSalt === b.clientSalt && a.kvEpoch === b.kvEpoch
}

/** The session with these spaces beside its own, each once and the newest kept; the session itself where none is new. */
export function withSpaces<S extends Pick<SessionRecord, 'spaces' | 'spacesLost'>>(
  session: S,
  spaces: readonly KvSpace[],
): S {
  const fresh = spaces.filter((space) => !session.spaces.some((known) => sameSpace(known, space)))
  if (fresh.length === 0) return session
  const all = [...session.spaces, ...fresh]
  const lost = all.length > MAX_SPACES ? { spacesLost: true } : {}
  return { ...session, spaces: all.slice(-MAX_SPACES), ...lost }
}
