// The interface of the durable store. One contract suite (test/contracts/store) tests every implementation against it.

import type { DeletionRecord, DependentSessions } from '../base/deletion-records.ts'
import type { CwmEvent } from '../base/events.ts'
import type {
  AuditEntry,
  SessionRecord,
  TenantUsage,
  WindowContent,
  WindowRecord,
  WindowState,
} from '../base/records.ts'
import type { NearLimitOverrides } from '../base/tenants.ts'
import type { EngineMethods } from './engine-methods.ts'
import type { KeyMethods } from './key-methods.ts'
import type { LedgerMethods } from './ledger-methods.ts'
import type { LibraryMethods } from './library-methods.ts'
import type { RateMethods } from './rate-methods.ts'
import type {
  BoundaryHit,
  DeletionChange,
  EventPage,
  HeldWindow,
  Login,
  Page,
  PageRequest,
  RemovedSessions,
  ReserveOutcome,
  ResponseOwner,
  RetainedPrompt,
  SaveOutcome,
  StoreChange,
  TenantsPage,
  TurnTrace,
  WindowChange,
  WindowConditions,
  WindowLimits,
  WindowQuery,
} from './store-values.ts'

/**
 * Every method rejects with code `STORE_UNAVAILABLE` if the store cannot be reached or written. Ids are only unique within a tenant, so
 * every read takes the tenant.
 */
export interface Store extends EngineMethods, KeyMethods, LedgerMethods, LibraryMethods, RateMethods {
  /** For the log and `/cwm/v1/health`, e.g. `sqlite`. */
  readonly kind: string
  /**
   * How long reads may be used without another read, milliseconds, unless `onChange` reports a change earlier. Infinity if no other process
   * writes. Read it each time: a shared store sets it to 0 while other processes may not know of this one.
   */
  readonly maxStalenessMs: number
  /** Calls back for changes by other processes. Returns a function that stops this. */
  onChange(listener: (change: StoreChange) => void): () => void

  /** Resolves if the store answers reads. Writes nothing, not even waiting turns, so it may be called every second. */
  ping(): Promise<void>
  /** Stores `value` under `key` unless there is a value already; returns the stored one. Atomic. */
  claimMeta(key: string, value: string): Promise<string>

  // Sessions.

  /**
   * Returns the stored session of that tenant and id, or stores `fresh` and returns it. Atomic: two callers get one lineage. Throws `BUSY`
   * if the lineage of `fresh` is retired.
   */
  getOrCreateSession(fresh: SessionRecord): Promise<SessionRecord>
  getSession(tenant: string, id: string): Promise<SessionRecord | undefined>
  /** By last turn, newest first. Pages in both directions, as `listWindows`. */
  listSessions(tenant: string, page: PageRequest): Promise<Page<SessionRecord>>
  /**
   * Stores a session and the traces of its turn, in one transaction. `isNew`: it was never stored, and is inserted if its lineage is not
   * retired. Otherwise it replaces the stored one if that still exists with the same `head`. The stored one's spaces always stay, because
   * turns of two processes may each have added some. A new session's base window must exist or be held; a stored session's does, because a
   * window is held while a session is based on it. A boundary whose digest another session has becomes ambiguous, and stays so until it
   * expires.
   */
  saveTurn(session: SessionRecord, trace: TurnTrace, isNew: boolean): Promise<SaveOutcome>
  /**
   * Binds a stored session to a window and its lineage: replaces it if it still exists with the previous head (`session.head - 1`), the
   * window exists or is held, and the new lineage is not retired. Releases the window that it was based on before. `isNew` as in `saveTurn`.
   */
  bindSession(session: SessionRecord, isNew: boolean): Promise<SaveOutcome>
  /** Boundaries by digest that are stored and not expired at `now` (milliseconds since the epoch). */
  findBoundaries(tenant: string, digests: readonly string[], now: number): Promise<ReadonlyMap<string, BoundaryHit>>
  /** The owner of a stored response; undefined if it is another tenant's, unknown, or expired at `now`. */
  findResponse(tenant: string, responseId: string, now: number): Promise<ResponseOwner | undefined>
  /** Drops up to `atMost` boundaries, response ids and placements that expired before `now`; returns how many. */
  dropExpired(now: number, atMost: number): Promise<number>
  /**
   * Of all tenants: up to `atMost` sessions whose last turn was before `before`, oldest first. `lasting`: those with a name or a base
   * window; otherwise those that only boundaries lead to. `after`: only those whose last turn was after that.
   */
  listIdle(before: number, lasting: boolean, atMost: number, after?: number): Promise<readonly SessionRecord[]>
  /**
   * Removes a session, with its boundaries, response ids and retained turn, and writes the order to delete its KV, in one transaction.
   * Returns false if it is gone, has another lineage now, or has had a turn since `session.lastTurnAt`. `sequences`: token ids whose chunks
   * to delete, as far as they are known. Releases the deleted window that only this session was based on.
   */
  removeSession(session: SessionRecord, order: DeletionRecord, sequences: readonly Uint32Array[]): Promise<boolean>
  /**
   * Removes several sessions of one tenant as `removeSession` does, with one order for the KV of all, in one transaction. Skips those that it
   * would not remove, those whose lineage has other holders, and as many more as it cannot remove at once. Returns the removed ones and the
   * order as it is stored, with their number and lineages; undefined if it removes none.
   */
  removeSessions(sessions: readonly SessionRecord[], order: DeletionRecord): Promise<RemovedSessions | undefined>

  // Lineages.

  /** The lineage under `key` (a user, or the tenant as a whole); stores `fresh` if there is none. Atomic. */
  claimLineage(tenant: string, key: string, fresh: string): Promise<string>
  /** Sessions and windows of a lineage. `sessions` counts up to 1,000. */
  holdersOf(
    tenant: string,
    lineage: string,
  ): Promise<{ readonly sessions: number; readonly windows: readonly WindowRecord[] }>
  /**
   * Retires a lineage that no session and no window holds and that is not shared; returns whether it is retired now. Afterwards nothing can
   * be stored under it. When this resolves, no other process dispatches it any longer.
   */
  retireLineage(tenant: string, lineage: string): Promise<boolean>
  /** The same for several; returns those that are retired now. */
  retireLineages(tenant: string, lineages: readonly string[]): Promise<readonly string[]>
  isRetired(tenant: string, lineage: string): Promise<boolean>

  // Windows.

  /**
   * Reserves a name for a freeze: stores record and content if the name is free, or if its last freeze failed and left no pin. Atomic,
   * limits included.
   */
  reserveWindow(record: WindowRecord, content: WindowContent, limits?: WindowLimits): Promise<ReserveOutcome>
  /** Changes the window with this name and `id`; returns false if it is gone or was replaced. A field given as undefined is removed. */
  changeWindow(tenant: string, name: string, id: string, change: WindowChange): Promise<boolean>
  getWindow(tenant: string, name: string): Promise<WindowRecord | undefined>
  /** Of a window that exists or is held. */
  getWindowContent(tenant: string, name: string, id: string): Promise<WindowContent | undefined>
  /** Newest first, unless the query has another order. Throws `INVALID_FIELD` for a cursor of another query. */
  listWindows(tenant: string, query: WindowQuery): Promise<Page<WindowRecord>>
  /** The number of windows that meet the conditions, up to `atMost` (1 to 1,001). */
  countWindows(tenant: string, conditions: WindowConditions, atMost: number): Promise<number>
  /** Of all tenants, for the reconciler: windows in one of `states`, or that may have a pin (`pinning`, `pinned`). In order of creation. */
  listForRepair(states: readonly WindowState[], page: PageRequest): Promise<Page<WindowRecord>>
  /**
   * Removes a window and writes the order to delete its chunks, in one transaction. Its content goes too, unless sessions are based on it: then
   * it is held under the window's id, and the order has `heldWindow`. Returns the order as it is stored; undefined if the window is gone or
   * was replaced.
   */
  removeWindow(
    record: WindowRecord,
    order: DeletionRecord,
    sequences: readonly Uint32Array[],
  ): Promise<DeletionRecord | undefined>

  // Held windows: deleted, but sessions are based on them. The transaction in which the last of these sessions is removed or bound to another
  // window drops the content and makes the order due (`heldWindow` is removed, `nextTryAt` is `at`).

  /** By the window's id. */
  getHeldWindow(tenant: string, id: string): Promise<HeldWindow | undefined>
  /** The sessions based on a window, which exists or is held. May miss sessions that an older version of cwm, which shares the store, bound. */
  sessionsOn(window: WindowRecord): Promise<DependentSessions>
  /** The same, after a comparison with the sessions of the window's lineage. It may read all of these. */
  recountSessionsOn(window: WindowRecord): Promise<DependentSessions>
  /** Releases a held window on which no session stands. That only happens if an older version of cwm, which shares the store, removed it. */
  releaseWindow(tenant: string, id: string): Promise<void>

  // Deletes.

  /** Writes an order to delete KV of something that continues to exist elsewhere, with the ids of its chunks. */
  addDeletion(order: DeletionRecord, sequences: readonly Uint32Array[]): Promise<void>
  getDeletion(tenant: string, id: string): Promise<DeletionRecord | undefined>
  getDeletionSequences(tenant: string, id: string): Promise<readonly Uint32Array[]>
  /** Newest first. */
  listDeletions(tenant: string, page: PageRequest): Promise<Page<DeletionRecord>>
  /** Of all tenants in the order of their ids: open ones that are due at `now` (`nextTryAt`). Each tenant's that are due longest come first. */
  listOpenDeletions(now: number, page: TenantsPage): Promise<readonly DeletionRecord[]>
  /** `state: 'done'` drops the sequences. Returns false if there is no such delete. */
  changeDeletion(tenant: string, id: string, change: DeletionChange): Promise<boolean>
  /** Drops up to `atMost` finished deletes that were requested before `before`; returns how many. */
  dropDeletions(before: number, atMost: number): Promise<number>

  // Tenants.

  usageOf(tenant: string): Promise<TenantUsage>
  /** The sums over all tenants. */
  usageOfAll(): Promise<TenantUsage>
  /**
   * Up to `atMost` (1 to 1,001) tenants after the id `after` that have a session or a window, ordered by their ASCII ids. May include
   * tenants that have nothing any longer.
   */
  listTenants(after: string, atMost: number): Promise<readonly string[]>
  /** Empty for a tenant without overrides. */
  getOverrides(tenant: string): Promise<NearLimitOverrides>
  /** Replaces them; empty ones are dropped. */
  putOverrides(tenant: string, overrides: NearLimitOverrides): Promise<void>
  /**
   * Drops what else is stored of a tenant whose sessions and windows are gone: boundaries, responses, shared lineages, retained turns,
   * audit entries, events, overrides, finished deletes, held windows, libraries, keys,
   * its ledger. Open deletes stay until they are done. Placements stay until they
   * expire, because nothing in them tells whose they are.
   */
  forgetTenant(tenant: string): Promise<void>
  /**
   * Adds an entry, or replaces the one with its id and time. Keeps `keep` entries of successes in total, and as many of failed attempts.
   * Beyond that, drops the oldest entries of the tenant with the most.
   */
  appendAudit(entry: AuditEntry, keep: number): Promise<void>
  /** Newest first; of all tenants if none is named. */
  listAudit(tenant: string | undefined, page: PageRequest): Promise<Page<AuditEntry>>

  // Event ids are times, so that they do not reveal how much others do.

  /** Appends an event, and returns its id. Keeps `keep` in total; beyond that, drops the oldest of the tenant with the most. */
  appendEvent(event: CwmEvent, keep: number): Promise<string>
  /** The id after which future events follow. */
  eventIdNow(): Promise<string>
  /** Up to `atMost` (1 to 1,000) events after an id; of all tenants if none is named. Fewer means that there are no more now. */
  listEvents(tenant: string | undefined, after: string, atMost: number): Promise<EventPage>

  // Logins to the dashboard.

  /**
   * Ends a login before it expires. Drops what has expired at `now`. Of each owner, up to `keep` ended logins are listed: beyond that, those
   * that expire first are dropped, and from then on every login of this owner that expires no later than a dropped one counts as ended.
   */
  endLogin(login: Login, keep: number, now: number): Promise<void>
  isLoginEnded(login: Login): Promise<boolean>

  // Retained turns.

  /**
   * Replaces the session's retained turn. While the total exceeds `maxBytes`, drops the oldest turns of tenants that have stored none for an
   * hour, then of the tenant with the most. A large turn that does not fit beside what the others may keep is not stored, nor is a turn of a
   * session that is not stored, because it was ended meanwhile.
   */
  putRetained(tenant: string, sessionId: string, turn: RetainedPrompt, maxBytes: number): Promise<void>
  getRetained(tenant: string, sessionId: string): Promise<RetainedPrompt | undefined>

  /**
   * Re-encrypts up to `atMost` rows that are not sealed with the current key (or not at all); returns how many. 0: none is left. Resolves
   * to 0 without encryption.
   */
  reseal(atMost: number): Promise<number>

  /** Acquires or renews a lease for `ms` milliseconds; false while another process holds it. Always true if no other process writes. */
  acquireLease(name: string, ms: number): Promise<boolean>
  /** Releases the lease, if this process holds it. */
  releaseLease(name: string): Promise<void>

  // Uses: unlike a lease, any number of processes may hold one at a time.

  /** Marks that this process uses something, or renews its mark, for `ms` milliseconds. */
  enterUse(name: string, ms: number): Promise<void>
  /** Removes this process's mark. */
  leaveUse(name: string): Promise<void>
  /** Whether another process has a mark. Always false if no other process writes. */
  isUsedElsewhere(name: string): Promise<boolean>

  /** Resolves when everything is written. */
  close(): Promise<void>
}

/** Each store is composed of parts; these are the same in both. */
export type SessionMethods = Pick<
  Store,
  | 'getOrCreateSession'
  | 'getSession'
  | 'listSessions'
  | 'saveTurn'
  | 'bindSession'
  | 'listIdle'
  | 'removeSession'
  | 'removeSessions'
>

export type TenantMethods = Pick<
  Store,
  | 'usageOf'
  | 'usageOfAll'
  | 'listTenants'
  | 'getOverrides'
  | 'putOverrides'
  | 'forgetTenant'
  | 'appendAudit'
  | 'listAudit'
>

export type LoginMethods = Pick<Store, 'endLogin' | 'isLoginEnded'>

export type HeldWindowMethods = Pick<Store, 'getHeldWindow' | 'sessionsOn' | 'recountSessionsOn' | 'releaseWindow'>

export type DeletionMethods = Pick<
  Store,
  | 'addDeletion'
  | 'getDeletion'
  | 'getDeletionSequences'
  | 'listDeletions'
  | 'listOpenDeletions'
  | 'changeDeletion'
  | 'dropDeletions'
>
