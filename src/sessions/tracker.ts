// Sessions as they live: found by name or by the prefix that their last answers left, kept in bounded memory, stored behind.
// The store may have other writers: reads of it are used for at most `maxStalenessMs`.

import { setImmediate as nextRound } from 'node:timers/promises'
import type { Now } from '../base/clock.ts'
import { CwmError } from '../base/errors.ts'
import { randomId, sessionKey } from '../base/ids.ts'
import { mergeFreezes } from '../base/newest-freezes.ts'
import type { Boundary, KvSpace, SessionRecord } from '../base/records.ts'
import { type Chain, type ReplyBoundary, windowScopedDigest } from '../identity/chain.ts'
import type { Page, PageRequest, SaveOutcome, Store } from '../store/store.ts'
import { Histories } from './histories.ts'
import { InFlight } from './in-flight.ts'
import { Lineages } from './lineages.ts'
import { type Binding, boundRecord, LiveSession } from './live-session.ts'
import { NewSessions, type SessionOwner } from './new-sessions.ts'
import { type Opened, Openings } from './openings.ts'
import { type PrefixMatch, PrefixSearch } from './prefix-search.ts'
import { SessionCache } from './session-cache.ts'

/** Boundaries kept per session of each rank, up to three a turn (see RunningTurn): an edited or regenerated turn still finds its branch. */
const KEEP_BOUNDARIES = 24
/** Traces dropped at once: others have their turn between. */
const EXPIRED_AT_ONCE = 500

export interface TrackerOptions {
  readonly store: Store
  readonly now: Now
  /** Of all sessions kept in memory, bytes; the store has them all. */
  readonly maxSessionBytes: number
  /** Of all boundaries kept in memory, bytes. */
  readonly maxHistoryBytes: number
  /** Milliseconds after which a history that nobody continued is no longer recognised. */
  readonly boundaryTtlMs: number
  /** Milliseconds for which the id of a stored response leads to its session. */
  readonly responseTtlMs: number
  /** Is told of a session that was ended elsewhere and had a turn here all the same: its KV is nobody's. Absent: nobody is. */
  readonly onLate?: (session: SessionRecord) => void
}

export class SessionTracker {
  readonly #options: TrackerOptions
  readonly #lineages: Lineages
  readonly #new: NewSessions
  readonly #sessions: SessionCache
  readonly #inFlight = new InFlight()
  /** Whose last turn the store could not take; each sweep tries again. */
  readonly #unsaved: SessionCache
  readonly #histories: Histories
  readonly #prefixes: PrefixSearch
  readonly #openings: Openings
  readonly #stopListening: () => void

  constructor(options: TrackerOptions) {
    this.#options = options
    this.#lineages = new Lineages(options.store)
    this.#new = new NewSessions({
      ...options,
      lineages: this.#lineages,
      maxTemporaryBytes: options.maxSessionBytes / 4,
    })
    this.#sessions = new SessionCache(options.maxSessionBytes / 2)
    this.#unsaved = new SessionCache(options.maxSessionBytes / 4)
    this.#histories = new Histories(options)
    this.#prefixes = new PrefixSearch({
      histories: this.#histories,
      isShared: this.#isShared,
      find: (tenant, id) => this.find(tenant, id),
      live: (tenant, id) => this.#live(sessionKey(tenant, id)),
    })
    this.#openings = new Openings({
      find: (tenant, opening) => this.byPrefix(tenant, { candidates: [{ ...opening, messages: 0 }] }),
      make: (owner) => this.unnamed(owner),
      note: (opening, session) => {
        session.continuedFrom(opening)
        this.#histories.record([opening.digest], session.record.id)
      },
    })
    this.#stopListening = options.store.onChange((change) => {
      if (change.kind === 'lineage') this.retired(change.tenant, change.lineage)
      else if (change.kind === 'session') this.#invalidate(change.tenant, change.id)
    })
  }

  /** Tries once more to store what the store could not take before. Never throws: without a store it is lost. */
  async close(): Promise<void> {
    this.#stopListening()
    await this.#saveUnsaved().catch(() => {})
  }

  /**
   * The session that a client named; made at its first use. Atomic in the store, so that its lineage is one for all proxies.
   * Without a store: a session of this process with a lineage of its own, unless it is known to stand behind a window, whose messages
   * it would lose: then `STORE_UNAVAILABLE`. Throws `QUOTA_EXCEEDED`.
   */
  async named(owner: SessionOwner, id: string): Promise<LiveSession> {
    const key = sessionKey(owner.tenant, id)
    const live = this.#live(key)
    try {
      if (live !== undefined && (this.#isFresh(live) || (await this.#revalidate(live)))) {
        if (!live.stored) await this.save(live, [])
        this.#new.temporary.delete(key)
        return live
      }
      const asked = this.#options.now()
      const stored = await this.#options.store.getSession(owner.tenant, id)
      if (stored === undefined) await this.#new.checkQuota(owner)
      const record = stored ?? (await this.#options.store.getOrCreateSession(await this.#new.record(owner, id, true)))
      this.#new.temporary.delete(key)
      return this.#keep(new LiveSession(record, { stored: true }), asked)
    } catch (error) {
      if (!storeIsAway(error) || live?.record.baseWindow !== undefined) throw error
      return this.#new.withoutStore(owner.tenant, id)
    }
  }

  /** A session that no history leads to: a lineage of its own, or its user's or tenant's where that is the rule. Throws `QUOTA_EXCEEDED`. */
  async unnamed(owner: SessionOwner): Promise<LiveSession> {
    const id = `s-${randomId()}`
    try {
      await this.#new.checkQuota(owner)
      const asked = this.#options.now()
      return this.#keep(new LiveSession(await this.#new.record(owner, id, false), { stored: false }), asked)
    } catch (error) {
      if (!storeIsAway(error)) throw error
      return this.#new.withoutStore(owner.tenant, id)
    }
  }

  /** The session of a first turn whose client sends its own conversation id. Throws `QUOTA_EXCEEDED`, and what the store throws. */
  opened(owner: SessionOwner, opening: ReplyBoundary): Promise<Opened> {
    return this.#openings.sessionOf(owner, opening)
  }

  /**
   * The session whose delivered history the chain extends, at its longest known boundary; undefined when there is none. `ambiguous` when
   * two sessions came to hold that same history: then nobody can tell which is meant. Without a store: `unknown`, or `STORE_UNAVAILABLE`
   * for a history that is known here to stand behind a window.
   */
  async byPrefix(tenant: string, chain: Pick<Chain, 'candidates'>): Promise<PrefixMatch | undefined> {
    if (chain.candidates.length === 0) return undefined
    try {
      return await this.#prefixes.match(tenant, chain)
    } catch (error) {
      if (!storeIsAway(error) || this.#prefixes.isBehindWindow(tenant, chain)) throw error
      return { kind: 'unknown' }
    }
  }

  /** The session of that tenant and id, wherever it is; undefined when there is none. */
  async find(tenant: string, id: string): Promise<LiveSession | undefined> {
    const key = sessionKey(tenant, id)
    const live = this.#live(key)
    if (live !== undefined && (await this.#revalidate(live))) return live
    const asked = this.#options.now()
    const record = await this.#options.store.getSession(tenant, id)
    // Another call may have brought it in meanwhile: one object per session, or changes would be lost.
    const raced = this.#live(key)
    if (record === undefined || raced !== undefined) return raced
    return this.#keep(new LiveSession(record, { stored: true }), asked)
  }

  /** The session of a stored response; undefined when the id is unknown, expired, or another tenant's. */
  async byResponse(tenant: string, responseId: string): Promise<LiveSession | undefined> {
    const id = await this.#options.store.findResponse(tenant, responseId, this.#options.now())
    return id === undefined ? undefined : await this.find(tenant, id)
  }

  list(tenant: string, page: PageRequest): Promise<Page<SessionRecord>> {
    return this.#options.store.listSessions(tenant, page)
  }

  /** Keeps a session in memory while a turn of it is in flight. Each call needs its `release`. */
  hold(session: LiveSession): void {
    if (session.temporary) return
    this.#inFlight.hold(session)
  }

  release(session: LiveSession): void {
    if (!session.temporary) this.#inFlight.release(session)
  }

  /** Whether a turn of it may be in flight: here, or in another process, of whose turns nobody knows. */
  isBusy(tenant: string, id: string): boolean {
    return this.#isShared || this.#inFlight.get(sessionKey(tenant, id)) !== undefined
  }

  /**
   * Notes, durably for a stored session, where a turn is about to put its KV: a delete must be able to name it. Answers the session to go
   * on with: without a store it is a temporary one, unless a window stands before it (`STORE_UNAVAILABLE`).
   */
  enter(session: LiveSession, space: KvSpace): LiveSession | Promise<LiveSession> {
    return session.addSpace(space) && session.stored ? this.#storeSpaces(session, space) : session
  }

  async #storeSpaces(session: LiveSession, space: KvSpace): Promise<LiveSession> {
    try {
      await this.save(session, [])
      return session
    } catch (error) {
      if (!storeIsAway(error) || session.record.baseWindow !== undefined) throw error
      session.removeSpace(space)
      return this.#new.withoutStore(session.record.tenant, session.record.id)
    }
  }

  /**
   * Whether a turn may go out under that lineage, asked at the last moment: not when the session was ended or the lineage retired, here or,
   * as far as the store tells, elsewhere.
   */
  mayDispatch(session: LiveSession, lineage: string): boolean | Promise<boolean> {
    if (this.#isOver(session, lineage)) return false
    if (session.temporary || session.freshUntil > this.#options.now()) return true
    return this.#options.store
      .isRetired(session.record.tenant, lineage)
      .then((retired) => !retired && !this.#isOver(session, lineage))
  }

  /** As far as this process knows. */
  #isOver(session: LiveSession, lineage: string): boolean {
    return session.ended || this.#lineages.isRetired(session.record.tenant, lineage)
  }

  /** Makes this turn's boundaries known at once, before the last bytes go out: the next turn may follow on their heels. */
  announce(session: LiveSession, digests: readonly string[]): void {
    this.#histories.record(digests, session.record.id)
  }

  /** Takes an announcement back: the answer did not reach the client. What the store has remains. */
  retract(digests: readonly string[]): void {
    this.#histories.forget(digests)
  }

  /**
   * Stores a session after a turn, with the boundaries of that turn and the ids of responses that the engine keeps. What a shared store
   * could not take is ambiguous here: nobody could say whether another process delivered the same. `mayWait`: the store may write it some
   * milliseconds later, with other turns.
   */
  async save(
    session: LiveSession,
    replies: readonly ReplyBoundary[],
    responseIds: readonly string[] = [],
    mayWait = false,
  ): Promise<void> {
    const { store, now, boundaryTtlMs, responseTtlMs } = this.#options
    if (session.ended || session.temporary) return
    const { tenant, id, baseWindow } = session.record
    const expiresAt = now() + boundaryTtlMs
    const digests = replies.map(({ digest }) => digest)
    const branch = session.takeBranch(digests)
    const kept = [...branchOf(branch, baseWindow !== undefined), ...replies]
    const trace = {
      boundaries: kept.map(({ digest, rank }): Boundary => ({ digest, tenant, sessionId: id, expiresAt, rank })),
      keepBoundaries: KEEP_BOUNDARIES,
      mayWait,
      responses: responseIds.map((response) => ({ id: response, expiresAt: now() + responseTtlMs })),
    }
    try {
      this.#settle(session, await store.saveTurn(session.record, trace, !session.stored))
    } catch (error) {
      if (this.#isShared) this.#histories.invalidate(digests)
      if (storeIsAway(error)) this.#unsaved.set(session.key, session)
      throw error
    }
    this.#sessions.weigh(session.key, session)
    // From now on the store answers for them, with what other processes saved; memory lives on as long. A store that only this process
    // writes knows them exactly, so memory keeps only those that must not be served without their window when the store fails.
    if (this.#isShared || baseWindow !== undefined) this.#histories.record(digests, id)
    else this.#histories.dropStored(digests, id)
  }

  /**
   * Stores that a session stands behind a window from now on. Answers false when it was ended or thawed into by somebody else
   * meanwhile: nothing is changed then.
   */
  async bind(session: LiveSession, binding: Binding): Promise<boolean> {
    if (session.temporary || session.ended) return false
    const next = { ...binding, head: session.record.head + 1 }
    // It leaves a trace with its first answer, not before.
    if (session.stored || session.record.named) {
      const outcome = await this.#options.store.bindSession(boundRecord(session.record, next), !session.stored)
      this.#settle(session, outcome)
      if (outcome !== 'saved') return false
    }
    session.adopt(boundRecord(session.record, next))
    return true
  }

  /** Forgets a session that was taken out of the store; its turns in flight are told. */
  ended(tenant: string, id: string): void {
    const key = sessionKey(tenant, id)
    this.#live(key)?.end()
    this.#new.temporary.get(key)?.end()
    const late = this.#unsaved.get(key)
    if (late !== undefined) this.#options.onLate?.(late.record)
    this.#unsaved.delete(key)
    this.#inFlight.drop(key)
    this.#sessions.delete(key)
    this.#new.temporary.delete(key)
  }

  /** This process dispatches nothing under that lineage from now on, and breaks off what is in flight. */
  retired(tenant: string, lineage: string): void {
    this.#lineages.retire(tenant, lineage)
    for (const { record } of this.#inFlight.ofLineage(tenant, lineage)) this.ended(tenant, record.id)
  }

  /** Stores what the store could not take before, and drops what has expired there; answers how many. Call now and then. */
  async sweep(): Promise<number> {
    await this.#saveUnsaved()
    const { store, now } = this.#options
    for (let sum = 0; ; await nextRound()) {
      const dropped = await store.dropExpired(now(), EXPIRED_AT_ONCE)
      sum += dropped
      if (dropped < EXPIRED_AT_ONCE) return sum
    }
  }

  /** Ends with the first that the store cannot take either. */
  async #saveUnsaved(): Promise<void> {
    for (const [key, session] of this.#unsaved.entries()) {
      await this.save(session, [])
      this.#unsaved.delete(key)
    }
  }

  #isFresh({ ended, stored, freshUntil }: LiveSession): boolean {
    return !ended && (!stored || freshUntil > this.#options.now())
  }

  /** Whether a session in memory is still the stored one; what another process changed is taken over. */
  async #revalidate(live: LiveSession): Promise<boolean> {
    const { store, now } = this.#options
    if (this.#isFresh(live)) return true
    if (live.ended) return false
    const asked = now()
    const record = await store.getSession(live.record.tenant, live.record.id)
    if (record === undefined || !live.isSameSession(record)) {
      this.ended(live.record.tenant, live.record.id)
      return false
    }
    if (record.head !== live.record.head || record.turns > live.record.turns) live.adopt(record)
    else live.adopt(mergeFreezes(live.record, record))
    live.freshUntil = asked + store.maxStalenessMs
    return true
  }

  #invalidate(tenant: string, id: string): void {
    const key = sessionKey(tenant, id)
    const live = this.#live(key)
    if (live === undefined) return
    live.freshUntil = 0
    // Its turns in flight would put KV where nobody looks any more, if it was ended.
    if (this.#inFlight.get(key) !== undefined) this.#revalidate(live).catch(() => {})
  }

  #settle(session: LiveSession, outcome: SaveOutcome): void {
    const { record } = session
    if (outcome === 'saved') session.stored = true
    else if (outcome === 'gone') {
      this.#unsaved.set(session.key, session)
      this.ended(record.tenant, record.id)
    } else session.freshUntil = 0
  }

  /** Other processes write to the store. */
  get #isShared(): boolean {
    return Number.isFinite(this.#options.store.maxStalenessMs)
  }

  #live(key: string): LiveSession | undefined {
    return this.#inFlight.get(key) ?? this.#sessions.get(key)
  }

  /** `asked`: when the store was; what it said is no younger than that. */
  #keep(session: LiveSession, asked: number): LiveSession {
    const raced = this.#live(session.key)
    if (raced !== undefined) return raced
    session.freshUntil = asked + this.#options.store.maxStalenessMs
    this.#sessions.set(session.key, session)
    return session
  }
}

/** Boundaries kept beside the newest: the one that a turn continued from, and its mark if the session is behind a window. */
function branchOf(branch: ReplyBoundary | undefined, isBehindWindow: boolean): readonly ReplyBoundary[] {
  if (branch === undefined) return []
  return isBehindWindow ? [branch, { ...branch, digest: windowScopedDigest(branch.digest) }] : [branch]
}

function storeIsAway(error: unknown): boolean {
  return error instanceof CwmError && error.code === 'STORE_UNAVAILABLE'
}
