// Finds the session of a turn: by name, by the history that it extends, or by the stored response that it continues. Otherwise it begins a new one.

import { CwmError } from '../base/errors.ts'
import type { Chain } from '../identity/chain.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { SessionOwner } from '../sessions/new-sessions.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { StoredResponses } from './stored-responses.ts'

/** How the session of a turn was found, for the metrics. */
export type Found = 'named' | 'prefix' | 'response' | 'new'

export interface FindParts {
  readonly sessions: SessionTracker
  readonly responses: StoredResponses
}

export interface FoundSession {
  readonly session: LiveSession
  readonly found: Found
  /** Whether the request's history was delivered to this session, or to one that cannot be distinguished from it. */
  readonly known: boolean
  /** Whether the next turn can be found by its history. False only for named sessions without a window. */
  readonly byHistory: boolean
  /** The store was unavailable, so a session with this history may have been missed. */
  readonly unsure?: boolean
  /** The only engine that can continue it, because it stores the history; undefined if any can. */
  readonly engineId?: string | undefined
}

/** Throws `SESSION_AMBIGUOUS` if a wrong guess would lose a window, `QUOTA_EXCEEDED`, and what the store throws. */
export function findSession(
  { sessions }: FindParts,
  owner: SessionOwner,
  control: ControlHeaders,
  hashed: () => Chain | undefined,
  /** A known client's own conversation id, if the request has one. */
  conversation: () => string | undefined,
): Promise<FoundSession> {
  const { session: name, window } = control
  if (name !== undefined) return namedSession(sessions, owner, name, window, hashed)
  const chain = hashed()
  if (chain?.candidates.length === 0 && window === undefined) {
    const id = conversation()
    if (id !== undefined) return openedSession(sessions, owner, chain, id)
  }
  return sessionOfHistory(sessions, owner, window, chain)
}

async function namedSession(
  sessions: SessionTracker,
  owner: SessionOwner,
  name: string,
  window: string | undefined,
  hashed: () => Chain | undefined,
): Promise<FoundSession> {
  const session = await sessions.named(owner, name)
  // The name decides. Whether the history is known matters only if the session is based on a window, so other named turns do not ask the store.
  const behind = window !== undefined || session.record.baseWindow !== undefined
  const chain = behind ? hashed() : undefined
  const match = chain === undefined ? undefined : await sessions.byPrefix(owner.tenant, chain)
  return {
    session,
    found: 'named',
    byHistory: behind,
    known: match?.kind === 'ambiguous' || (match?.kind === 'one' && match.session === session),
  }
}

/** The session of a first turn whose client sends its own conversation id. */
async function openedSession(
  sessions: SessionTracker,
  owner: SessionOwner,
  chain: Chain,
  conversation: string,
): Promise<FoundSession> {
  const { session, isNew, unsure } = await sessions.opened(owner, chain.opening(conversation))
  return { session, found: isNew ? 'new' : 'prefix', byHistory: true, known: false, unsure }
}

async function sessionOfHistory(
  sessions: SessionTracker,
  owner: SessionOwner,
  window: string | undefined,
  chain: Chain | undefined,
): Promise<FoundSession> {
  const match = chain === undefined ? undefined : await sessions.byPrefix(owner.tenant, chain)
  const ambiguous = match?.kind === 'ambiguous'
  if (ambiguous && match.behindWindow && window === undefined) {
    throw new CwmError(
      'SESSION_AMBIGUOUS',
      'this history belongs to two sessions, and one of them is based on a window; choose one with x-cwm-session or x-cwm-window',
      { param: 'x-cwm-session' },
    )
  }
  // A requested window begins a new session, unless this history is already behind that window.
  const fits = match?.kind === 'one' && (window === undefined || match.session.record.baseWindow === window)
  if (fits) return { session: match.session, found: 'prefix', byHistory: true, known: true }
  const session = await sessions.unnamed(owner)
  return { session, found: 'new', byHistory: true, known: ambiguous, unsure: match?.kind === 'unknown' }
}

/** Throws `RESPONSE_NOT_FOUND`, `INVALID_HEADER`, and `NOT_SUPPORTED` if the session is based on a window, because nothing can precede a history that the engine holds. */
export async function sessionOfResponse(
  { responses }: FindParts,
  tenant: string,
  control: ControlHeaders,
  responseId: string,
): Promise<FoundSession> {
  const { session, engineId } = await responses.require(tenant, responseId)
  const { id, baseWindow } = session.record
  if (control.session !== undefined && control.session !== id) {
    throw new CwmError('INVALID_HEADER', 'the response of `previous_response_id` belongs to another session', {
      param: 'x-cwm-session',
    })
  }
  if (baseWindow !== undefined) {
    throw new CwmError(
      'NOT_SUPPORTED',
      `session ${id} is based on window ${baseWindow}, and cwm cannot put a window before a stored response; send the earlier items in \`input\` instead`,
      { param: 'previous_response_id' },
    )
  }
  return { session, found: 'response', byHistory: false, known: true, engineId }
}
