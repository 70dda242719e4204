// Ends sessions that have been idle for long. They occupy KV in every tier and rows in the store.

import { toCwmError } from '../base/errors.ts'
import type { SessionRecord } from '../base/records.ts'
import type { Deletions } from './deletions.ts'
import type { WindowParts } from './parts.ts'
import { perTenant } from './per-tenant.ts'

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
  deletions: Pick<Deletions, 'endSession' | 'expireSessions'>,
  { lastingMs, passingMs }: IdleTimes,
  signal: AbortSignal,
): Promise<number> {
  let ended = 0
  const busy = new Set<string>()
  for (const [lasting, ttlMs] of [[true, lastingMs] as const, [false, passingMs] as const]) {
    if (ttlMs === 0) continue
    let after: number | undefined
    for (let isLast = false; !isLast && !signal.aborted; ) {
      const page = await store.listIdle(now() - ttlMs, lasting, PAGE, after)
      const expired = await expireFirstTurns(deletions, page, signal)
      const others = page.filter((session) => !expired.has(session))
      const endedOfPage = expired.size + (await endEach(deletions, others, signal, busy))
      ended += endedOfPage
      // The run continues past sessions that cannot be ended now, so that they hide no others.
      if (endedOfPage < page.length) after = page.at(-1)?.lastTurnAt
      isLast = page.length < PAGE
    }
  }
  return ended
}

/** Returns how many it ended. Tenants whose delete slots are all taken are left to the next run; `busy` has those known so far. */
async function endEach(
  deletions: Pick<Deletions, 'endSession'>,
  sessions: readonly SessionRecord[],
  signal: AbortSignal,
  busy: Set<string>,
): Promise<number> {
  let ended = 0
  await perTenant(sessions, async (session) => {
    if (signal.aborted || busy.has(session.tenant)) return
    try {
      if ((await deletions.endSession(session, 'idle', 'cwm')) !== undefined) ended++
    } catch (thrown) {
      if (toCwmError(thrown).code !== 'OVERLOADED') throw thrown
      busy.add(session.tenant)
    }
  })
  return ended
}

/** Ends those that nobody continued together, as far as they left KV in the same spaces. Returns the ended ones. */
async function expireFirstTurns(
  deletions: Pick<Deletions, 'expireSessions'>,
  sessions: readonly SessionRecord[],
  signal: AbortSignal,
): Promise<ReadonlySet<SessionRecord>> {
  const ended = new Set<SessionRecord>()
  for (const group of groupsOf(sessions.filter(hadOneTurn))) {
    // A store may end a part of them at once.
    for (let rest = group; rest.length > 1 && !signal.aborted; rest = rest.filter((one) => !ended.has(one))) {
      const some = await deletions.expireSessions(rest)
      if (some.length === 0) break
      for (const session of some) ended.add(session)
    }
  }
  return ended
}

function hadOneTurn({ turns, named, shared, baseWindow }: SessionRecord): boolean {
  return turns === 1 && !named && shared === undefined && baseWindow === undefined
}

/** By tenant and spaces. */
function groupsOf(sessions: readonly SessionRecord[]): readonly SessionRecord[][] {
  const groups = new Map<string, SessionRecord[]>()
  for (const session of sessions) {
    const key = JSON.stringify([session.tenant, session.spaces])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [session])
    else group.push(session)
  }
  return [...groups.values()]
}
