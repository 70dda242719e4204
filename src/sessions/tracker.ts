// Tracks live sessions: finds them by name or by the prefix of delivered answers, caches them in bounded memory, and stores them. Other
// processes may write to the store, so a record that was read is used for at most `maxStalenessMs`.

import { setImmediate as nextRound } from 'node:timers/promises'
import type { Now } from '../base/clock.ts'
import { isStoreUnavailable } from '../base/errors.ts'
import { randomId, sessionKey } from '../base/ids.ts'
import { mergeFreezes } from '../base/newest-freezes.ts'
import type { Boundary, KvSpace, SessionRecord } from '../base/records.ts'
import type { Chain, ReplyBoundary } from '../identity/chain.ts'
import type { Store } from '../store/store.ts'
import type { SaveOutcome } from '../store/store-values.ts'
import { Histories } from './histories.ts'
import { InFlight } from './in-flight.ts'
import { Lineages } from './lineages.ts'
import { type Binding, boundRecord, LiveSession } from './live-session.ts'
import { NewSessions, type SessionOwner } from './new-sessions.ts'
import { type Opened, Openings } from './openings.ts'
import { type PrefixMatch, PrefixSearch } from './prefix-search.ts'
import { SessionCache } from './session-cache.ts'

/**
 * Boundaries kept per session and rank, so that an edited or regenerated turn finds its branch. A turn adds up to three: see RunningTurn.
 */
const KEEP_BOUNDARIES = 24
/** Expired traces dropped per batch. Other work runs between two batches. */
const EXPIRED_AT_ONCE = 500

export interface TrackerOptions {
  readonly store: Store
  readonly now: Now
  /** Maximum bytes of all sessions in memory. The store has all sessions. */
  readonly maxSessionBytes: number
  /** Maximum bytes of all boundaries in memory. */
  readonly maxHistoryBytes: number
  /** Milliseconds after which a history that was not continued is no longer recognized. */
  readonly boundaryTtlMs: number
  /** How long the id of a stored response leads to its session, milliseconds. */
  readonly responseTtlMs: number
  /** Called for a session that was ended elsewhere while it had a turn here. No record names the KV of that turn. */
  readonly onLate?: (session: SessionRecord) => void
}

export class SessionTracker {
  readonly #options: TrackerOptions
  readonly #lineages: Lineages
  readonly #new: NewSessions
  readonly #sessions: SessionCache
  readonly #inFlight = new InFlight()
  /** Sessions whose last turn could not be stored. Each sweep tries again. */
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

  /** Tries once more to store unsaved sessions. Never throws: if the store is unavailable, they are lost. */
  async close(): Promise<void> {
    this.#stopListening()
    await this.#saveUnsaved().catch(() => {})
  }

  /**
   * The session that a client named. Created on first use, atomically in the store, so that all proxies use the same lineage. Without a
   * store it is a temporary session with its own lineage. Throws `STORE_UNAVAILABLE` instead if the session is known to have a base window,
   * whose messages would be lost. Throws `QUOTA_EXCEEDED`.
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
      if (!isStoreUnavailable(error) || live?.record.baseWindow !== undefined) throw error
      return this.#new.withoutStore(owner.tenant, id)
    }
  }

  /** A new unnamed session. Its lineage is its own, or its user's or tenant's, depending on the isolation. Throws `QUOTA_EXCEEDED`. */
  async unnamed(owner: SessionOwner): Promise<LiveSession> {
    const id = `s-${randomId()}`
    try {
      await this.#new.checkQuota(owner)
      const asked = this.#options.now()
      const record = await this.#new.record(owner, id, false)
      // Nobody else can know or retire a lineage of its own until it is first sent to the store.
      const known = record.shared === undefined ? Number.POSITIVE_INFINITY : asked
      return this.#keep(new LiveSession(record, { stored: false }), known)
    } catch (error) {
      if (!isStoreUnavailable(error)) throw error
      return this.#new.withoutStore(owner.tenant, id)
    }
  }

  /** The session of a first turn whose client sends its own conversation id. Throws `QUOTA_EXCEEDED` and what the store throws. */
  opened(owner: SessionOwner, opening: ReplyBoundary): Promise<Opened> {
    return this.#openings.sessionOf(owner, opening)
  }

  /**
   * The session whose delivered history the chain extends, found by its longest known boundary; undefined if there is none. `ambiguous` if
   * several sessions hold that history. Without a store it is `unknown`. Throws `STORE_UNAVAILABLE` if this process knows that a session
   * with a base window holds it.
   */
  async byPrefix(tenant: string, chain: Pick<Chain, 'candidates'>): Promise<PrefixMatch | undefined> {
    if (chain.candidates.length === 0) return undefined
    try {
      return await this.#prefixes.match(tenant, chain)
    } catch (error) {
      if (!isStoreUnavailable(error) || this.#prefixes.isBehindWindow(tenant, chain)) throw error
      return { kind: 'unknown' }
    }
  }

  /** The session with that tenant and id, from memory or the store; undefined if there is none. */
  async find(tenant: string, id: string): Promise<LiveSession | undefined> {
    const key = sessionKey(tenant, id)
    const live = this.#live(key)
    if (live !== undefined && (await this.#revalidate(live))) return live
    const asked = this.#options.now()
    const record = await this.#options.store.getSession(tenant, id)
    // Another call may have loaded it meanwhile. There must be one object per session, or changes would be lost.
    const raced = this.#live(key)
    if (record === undefined || raced !== undefined) return raced
    return this.#keep(new LiveSession(record, { stored: true }), asked)
  }

  /** The session of a stored response, and the engine that stores it; undefined if the id is unknown, expired, or another tenant's. */
  async byResponse(
    tenant: string,
    responseId: string,
  ): Promise<{ readonly session: LiveSession; readonly engineId: string | undefined } | undefined> {
    const owner = await this.#options.store.findResponse(tenant, responseId, this.#options.now())
    const session = owner === undefined ? undefined : await this.find(tenant, owner.sessionId)
    return session && { session, engineId: owner?.engine }
  }

  /** Keeps a session in memory while it has a turn in flight. Each call needs a matching `release`. */
  hold(session: LiveSession): void {
    if (!session.temporary) this.#inFlight.hold(session)
  }

  release(session: LiveSession): void {
    if (!session.temporary) this.#inFlight.release(session)
  }

  /** Whether the session may have a turn in flight. True for a shared store, because turns of other processes are unknown. */
  isBusy(tenant: string, id: string): boolean {
    return this.#isShared || this.#inFlight.get(sessionKey(tenant, id)) !== undefined
  }

  /**
   * Records where a turn is about to put its KV, so that a delete can name it; durably for a stored session. Returns the session to
   * continue with, which is a temporary one if the store is unavailable. Throws `STORE_UNAVAILABLE` instead if the session has a base
   * window.
   */
  enter(session: LiveSession, space: KvSpace): LiveSession | Promise<LiveSession> {
    return session.addSpace(space) && session.stored ? this.#storeSpaces(session, space) : session
  }

  async #storeSpaces(session: LiveSession, space: KvSpace): Promise<LiveSession> {
    try {
      await this.save(session, [])
      return session
    } catch (error) {
      if (!isStoreUnavailable(error) || session.record.baseWindow !== undefined) throw error
      session.removeSpace(space)
      return this.withoutStore(session)
    }
  }

  /** The temporary session in which a turn of this one continues, because the store is unavailable. */
  withoutStore({ record }: LiveSession): LiveSession {
    return this.#new.withoutStore(record.tenant, record.id)
  }

  /**
   * Whether a turn may be dispatched under that lineage. Call it right before the dispatch. False if the session was ended or the lineage
   * was retired, in this process or according to the store. Throws `STORE_UNAVAILABLE` if only the store knows, and does not answer.
   */
  mayDispatch(session: LiveSession, lineage: string): boolean | Promise<boolean> {
    if (this.#isOver(session, lineage)) return false
    if (session.temporary || session.freshUntil > this.#options.now()) return true
    return this.#options.store
      .isRetired(session.record.tenant, lineage)
      .then((retired) => !retired && !this.#isOver(session, lineage))
  }

  /** Whether the session has ended or its lineage is retired, as far as this process knows. */
  #isOver(session: LiveSession, lineage: string): boolean {
    return session.ended || this.#lineages.isRetired(session.record.tenant, lineage)
  }

  /** Makes this turn's boundaries known before its last bytes are sent, because the next turn may arrive immediately after them. */
  announce(session: LiveSession, digests: readonly string[]): void {
    this.#histories.record(digests, session.record.id)
  }

  /** Withdraws an announcement, because the answer did not reach the client. The store keeps what it has. */
  retract(digests: readonly string[]): void {
    this.#histories.forget(digests)
  }

  /**
   * Stores a session after a turn, with that turn's boundaries and the responses that an engine keeps. If a shared store fails, the
   * boundaries become ambiguous in this process, because another process may have delivered the same history. `mayWait`: the store may
   * write the turn some milliseconds later, together with others.
   */
  async save(
    session: LiveSession,
    replies: readonly ReplyBoundary[],
    responses: readonly { readonly id: string; readonly engine?: string | undefined }[] = [],
    mayWait = false,
  ): Promise<void> {
    const { store, now, boundaryTtlMs, responseTtlMs } = this.#options
    if (session.ended || session.temporary) return
    const { tenant, id, baseWindow } = session.record
    const expiresAt = now() + boundaryTtlMs
    const digests = replies.map(({ digest }) => digest)
    const kept = [...session.takeBranch(digests), ...replies]
    const trace = {
      boundaries: kept.map(({ digest, rank }): Boundary => ({ digest, tenant, sessionId: id, expiresAt, rank })),
      keepBoundaries: KEEP_BOUNDARIES,
      mayWait,
      responses: responses.map(({ id, engine }) => {
        return { id, expiresAt: now() + responseTtlMs, ...(engine !== undefined && { engine }) }
      }),
    }
    this.#offer(session)
    try {
      this.#settle(session, await store.saveTurn(session.record, trace, !session.stored))
    } catch (error) {
      if (this.#isShared) this.#histories.invalidate(digests)
      if (isStoreUnavailable(error)) this.#unsaved.set(session.key, session)
      throw error
    }
    this.#sessions.weigh(session.key, session)
    // A shared store now has the boundaries, with those of other processes; memory keeps them too. A store that only this process writes
    // knows them exactly. Memory then keeps only those of sessions with a base window, which must not run without it when the store fails.
    if (this.#isShared || baseWindow !== undefined) this.#histories.record(digests, id)
    else this.#histories.dropStored(digests, id)
  }

  /**
   * Stores that a session is based on a window from now on, even before its first answer: a delete of the window must see it. `no_base`: the
   * window was deleted meanwhile. Any other outcome but `saved`: the session was ended, or another window was thawed into it, meanwhile.
   * Nothing is changed then.
   */
  async bind(session: LiveSession, binding: Binding): Promise<SaveOutcome> {
    if (session.temporary || session.ended) return 'gone'
    const next = boundRecord(session.record, { ...binding, head: session.record.head + 1 })
    this.#offer(session)
    const outcome = await this.#options.store.bindSession(next, !session.stored)
    if (outcome === 'no_base') return outcome
    this.#settle(session, outcome)
    if (outcome === 'saved') session.adopt(next)
    return outcome
  }

  /** Drops a session that was removed from the store, and ends its turns in flight. */
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

  /** Retires a lineage: this process dispatches nothing more under it, and ends its turns in flight. */
  retired(tenant: string, lineage: string): void {
    this.#lineages.retire(tenant, lineage)
    for (const { record } of this.#inFlight.ofLineage(tenant, lineage)) this.ended(tenant, record.id)
  }

  /** Stores unsaved sessions and drops expired traces from the store. Returns the number of dropped traces. Call it periodically. */
  async sweep(): Promise<number> {
    await this.#saveUnsaved()
    const { store, now } = this.#options
    for (let sum = 0; ; await nextRound()) {
      const dropped = await store.dropExpired(now(), EXPIRED_AT_ONCE)
      sum += dropped
      if (dropped < EXPIRED_AT_ONCE) return sum
    }
  }

  /** Stops at the first session that cannot be stored. */
  async #saveUnsaved(): Promise<void> {
    for (const [key, session] of this.#unsaved.entries()) {
      await this.save(session, [])
      this.#unsaved.delete(key)
    }
  }

  #isFresh({ ended, stored, freshUntil }: LiveSession): boolean {
    return !ended && (!stored || freshUntil > this.#options.now())
  }

  /** Whether a session in memory is still the stored one. Adopts the changes of other processes. */
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
    // If the session was ended elsewhere, its turns in flight must end too: no delete would find their KV.
    if (this.#inFlight.get(key) !== undefined) this.#revalidate(live).catch(() => {})
  }

  /** From now on other processes may know the session, even if the store does not answer. */
  #offer(session: LiveSession): void {
    session.freshUntil = Math.min(session.freshUntil, this.#options.now() + this.#options.store.maxStalenessMs)
  }

  #settle(session: LiveSession, outcome: SaveOutcome): void {
    if (outcome === 'saved') session.stored = true
    else if (outcome === 'gone' || outcome === 'no_base') {
      this.#unsaved.set(session.key, session)
      this.ended(session.record.tenant, session.record.id)
    } else session.freshUntil = 0
  }

  /** Whether other processes write to the store. */
  get #isShared(): boolean {
    return Number.isFinite(this.#options.store.maxStalenessMs)
  }

  #live(key: string): LiveSession | undefined {
    return this.#inFlight.get(key) ?? this.#sessions.get(key)
  }

  /** `asked`: when the store was queried. Its answer may be as old as that. */
  #keep(session: LiveSession, asked: number): LiveSession {
    const raced = this.#live(session.key)
    if (raced !== undefined) return raced
    session.freshUntil = asked + this.#options.store.maxStalenessMs
    this.#sessions.set(session.key, session)
    return session
  }
}
