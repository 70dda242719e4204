// Sessions as they live: found by name or by the prefix that their last answers left, kept in bounded memory, stored behind.

import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import { randomId } from '../base/ids.ts'
import type { Boundary, SessionRecord } from '../base/records.ts'
import type { BoundaryHit, Page, PageRequest, Store } from '../base/store.ts'
import { behindWindowMark, type Chain } from './chain.ts'

/** Boundaries kept per session, up to three a turn (see TurnMemory): a regenerated or edited late turn still finds its branch. */
const KEEP_BOUNDARIES = 24
const EXPIRED_PER_SWEEP = 10_000

export interface TrackerOptions {
  readonly store: Store
  readonly now: Now
  /** Sessions kept in memory; the store has them all. */
  readonly maxSessions: number
  /** Boundaries kept in memory; about 200 bytes each. */
  readonly maxBoundaries: number
  /** Milliseconds after which a history that nobody continued is no longer recognised. */
  readonly boundaryTtlMs: number
}

/** One session in this process. Turns that run at once change it one field at a time, so none undoes another. */
export class LiveSession {
  #record: SessionRecord
  /** False until its first turn is stored: an unnamed session that never got an answer leaves no trace. */
  stored: boolean

  constructor(record: SessionRecord, stored: boolean) {
    this.#record = record
    this.stored = stored
  }

  get record(): SessionRecord {
    return this.#record
  }

  change(change: Partial<SessionRecord>): void {
    this.#record = { ...this.#record, ...change }
  }
}

interface KnownBoundary {
  readonly hit: BoundaryHit
  readonly expiresAt: number
}

/** Whose history a request extends. `behindWindow`: one of several holders stands behind a window. */
export type PrefixMatch =
  | { readonly kind: 'one'; readonly session: LiveSession }
  | { readonly kind: 'ambiguous'; readonly behindWindow: boolean }

export class SessionTracker {
  readonly #options: TrackerOptions
  readonly #sessions: LRUCache<string, LiveSession>
  /** Sessions with a turn in flight: were one dropped, a second object of it would undo what the first one does. */
  readonly #inFlight = new Map<string, { readonly session: LiveSession; turns: number }>()
  /** What this process knows; the store knows what all have saved, and both are asked. */
  readonly #boundaries: LRUCache<string, KnownBoundary>

  constructor(options: TrackerOptions) {
    this.#options = options
    this.#sessions = new LRUCache({ max: options.maxSessions })
    this.#boundaries = new LRUCache({ max: options.maxBoundaries })
  }

  /** The session that a client named; made at its first use. Atomic in the store, so that its lineage is one for all proxies. */
  async named(tenant: string, id: string): Promise<LiveSession> {
    const live = this.#live(keyOf(tenant, id))
    if (live !== undefined) {
      if (!live.stored) await this.#store(live)
      return live
    }
    const record = await this.#options.store.getOrCreateSession(this.#fresh(tenant, id, true))
    return this.#keep(new LiveSession(record, true))
  }

  /** A session that no history leads to: a lineage of its own. */
  unnamed(tenant: string): LiveSession {
    return this.#keep(new LiveSession(this.#fresh(tenant, `s-${randomId()}`, false), false))
  }

  /**
   * The session whose delivered history the chain extends, at its longest known boundary; undefined when there is none.
   * `ambiguous` when two sessions came to hold that same history: then nobody can tell which is meant.
   */
  async byPrefix(tenant: string, chain: Chain): Promise<PrefixMatch | undefined> {
    if (chain.candidates.length === 0) return undefined
    const hits = await this.#hits(
      tenant,
      chain.candidates.map((candidate) => candidate.digest),
    )
    for (const { digest } of chain.candidates) {
      const hit = hits.get(digest)
      if (hit === undefined) continue
      if (hit === 'ambiguous') {
        const mark = behindWindowMark(digest)
        return { kind: 'ambiguous', behindWindow: (await this.#hits(tenant, [mark])).has(mark) }
      }
      const session = await this.find(tenant, hit.sessionId)
      if (session !== undefined) return { kind: 'one', session }
    }
    return undefined
  }

  /** The session of that tenant and id, wherever it is; undefined when there is none. */
  async find(tenant: string, id: string): Promise<LiveSession | undefined> {
    const live = this.#live(keyOf(tenant, id))
    if (live !== undefined) return live
    const record = await this.#options.store.getSession(tenant, id)
    // Another call may have brought it in meanwhile: one object per session, or changes would be lost.
    const raced = this.#live(keyOf(tenant, id))
    if (record === undefined || raced !== undefined) return raced
    return this.#keep(new LiveSession(record, true))
  }

  list(tenant: string, page: PageRequest): Promise<Page<SessionRecord>> {
    return this.#options.store.listSessions(tenant, page)
  }

  /** Keeps a session in memory while a turn of it is in flight. Each call needs its `release`. */
  hold(session: LiveSession): void {
    const key = keyOf(session.record.tenant, session.record.id)
    const held = this.#inFlight.get(key)
    if (held === undefined) this.#inFlight.set(key, { session, turns: 1 })
    else held.turns++
  }

  release(session: LiveSession): void {
    const key = keyOf(session.record.tenant, session.record.id)
    const held = this.#inFlight.get(key)
    if (held === undefined) return
    held.turns--
    if (held.turns === 0) this.#inFlight.delete(key)
  }

  /** Makes this turn's boundaries known at once, before the last bytes go out: the next turn may follow on their heels. */
  announce(session: LiveSession, digests: readonly string[]): void {
    for (const digest of digests) this.#know(digest, bothOf(this.#known(digest), { sessionId: session.record.id }))
  }

  /** Takes an announcement back: the answer did not reach the client. What the store has remains. */
  retract(digests: readonly string[]): void {
    for (const digest of digests) this.#boundaries.delete(digest)
  }

  /** Stores a session after a turn, with the boundaries of that turn. */
  async save(session: LiveSession, digests: readonly string[]): Promise<void> {
    const { store, now, boundaryTtlMs } = this.#options
    const { tenant, id } = session.record
    const expiresAt = now() + boundaryTtlMs
    const boundaries = digests.map((digest): Boundary => ({ digest, tenant, sessionId: id, expiresAt }))
    await store.saveTurn(session.record, boundaries, KEEP_BOUNDARIES)
    session.stored = true
    // From now on the store answers for them, with what other processes saved; memory lives on as long.
    for (const digest of digests) this.#know(digest, bothOf(this.#known(digest), { sessionId: id }))
  }

  /** Drops what has expired in the store; answers how many. Call now and then. */
  async sweep(): Promise<number> {
    const { store, now, boundaryTtlMs } = this.#options
    const boundaries = await store.dropExpired(now(), EXPIRED_PER_SWEEP)
    // Without its boundaries no history leads to an unnamed session any more.
    return boundaries + (await store.dropForgotten(now() - boundaryTtlMs, EXPIRED_PER_SWEEP))
  }

  /**
   * Memory has what was announced and is not saved yet. The store is asked each time all the same: another process may have come to
   * hold a history that this one knows as its own session's, and then nobody may have it.
   */
  async #hits(tenant: string, digests: readonly string[]): Promise<ReadonlyMap<string, BoundaryHit>> {
    const { store, now } = this.#options
    const hits = new Map(await store.findBoundaries(tenant, digests, now()))
    for (const digest of digests) {
      const known = this.#known(digest)
      if (known !== undefined) hits.set(digest, bothOf(hits.get(digest), known))
    }
    return hits
  }

  #known(digest: string): BoundaryHit | undefined {
    const known = this.#boundaries.get(digest)
    return known === undefined || known.expiresAt <= this.#options.now() ? undefined : known.hit
  }

  #know(digest: string, hit: BoundaryHit): void {
    this.#boundaries.set(digest, { hit, expiresAt: this.#options.now() + this.#options.boundaryTtlMs })
  }

  async #store(session: LiveSession): Promise<void> {
    await this.#options.store.saveTurn(session.record, [], KEEP_BOUNDARIES)
    session.stored = true
  }

  #fresh(tenant: string, id: string, named: boolean): SessionRecord {
    const at = this.#options.now()
    return { tenant, id, named, lineage: randomId(), createdAt: at, lastTurnAt: at, turns: 0 }
  }

  #live(key: string): LiveSession | undefined {
    return this.#inFlight.get(key)?.session ?? this.#sessions.get(key)
  }

  #keep(session: LiveSession): LiveSession {
    const key = keyOf(session.record.tenant, session.record.id)
    const raced = this.#live(key)
    if (raced !== undefined) return raced
    this.#sessions.set(key, session)
    return session
  }
}

function keyOf(tenant: string, id: string): string {
  return JSON.stringify([tenant, id])
}

/** Two who came to hold the same words are ambiguous, and stay so. */
function bothOf(known: BoundaryHit | undefined, hit: BoundaryHit): BoundaryHit {
  if (known === undefined) return hit
  if (known === 'ambiguous' || hit === 'ambiguous') return 'ambiguous'
  return known.sessionId === hit.sessionId ? hit : 'ambiguous'
}
