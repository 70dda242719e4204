// The durable store as cwm sees it. One contract suite (test/contracts/store) holds every implementation to this text.

import type { CwmEvent, StoredEvent } from '../base/events.ts'
import type {
  AuditEntry,
  Boundary,
  DeletionRecord,
  PinState,
  Prompt,
  SessionRecord,
  TenantUsage,
  WindowContent,
  WindowRecord,
  WindowState,
} from '../base/records.ts'
import type { TenantChoices } from '../base/tenants.ts'

export interface Page<T> {
  readonly items: readonly T[]
  /** Pass as `cursor` for the next page; absent on the last one. */
  readonly nextCursor?: string
}

export interface PageRequest {
  /** 1 to 1,000 items. */
  readonly limit: number
  readonly cursor?: string
}

/** Which windows, in which order. All conditions hold together; an absent one lets everything pass. */
export interface WindowQuery extends PageRequest {
  /** Windows that have each of these. */
  readonly tags?: readonly string[]
  readonly model?: string
  readonly state?: WindowState
  readonly pin?: PinState
  readonly sessionId?: string
  readonly parent?: string
  /** Text within the name, without regard to case (ASCII). */
  readonly text?: string
  /** Milliseconds since the epoch: created at or after, and before. */
  readonly createdFrom?: number
  readonly createdBefore?: number
  /** Default `created`. `thawed`: by last thaw, the freeze or else the creation where there was none. Ties by name. */
  readonly sort?: 'created' | 'name' | 'thawed' | 'tokens'
  /** Default `desc`. A cursor is good for the query that it came from. */
  readonly order?: 'asc' | 'desc'
}

/** What a boundary leads to: one session, or several that came to hold the same words. */
export type BoundaryHit = { readonly sessionId: string } | 'ambiguous'

/** What a turn leaves beside its session. */
export interface TurnTrace {
  readonly boundaries: readonly Boundary[]
  /**
   * How many boundaries of each rank a session keeps; older ones are dropped. A turn that leaves one of a rank above 0 extends the expiry
   * of all the session's boundaries above rank 0, because the conversation behind them continues. A store may leave out an extension by
   * less than a thirty-second of their time.
   */
  readonly keepBoundaries: number
  /** It need not be written at once: it may go with the turns of others, some milliseconds later. */
  readonly mayWait?: boolean
  /** Ids of stored responses (`/v1/responses`) that from now on lead to this session. */
  readonly responses?: readonly { readonly id: string; readonly expiresAt: number }[]
}

/**
 * `saved`; `gone`: the session was ended meanwhile, or its lineage retired; `moved`: the stored session has another head, because somebody
 * thawed a window into it meanwhile. Nothing is changed but for `saved`.
 */
export type SaveOutcome = 'saved' | 'gone' | 'moved'

/** A tenant's bounds for a new window. Absent: none. */
export interface WindowLimits {
  readonly maxWindows?: number
  readonly maxBytes?: number
}

/** `taken`: the name is in use. `too_many`, `too_large`: a limit would be exceeded. `retired`: its lineage is. */
export type ReserveOutcome = 'stored' | 'taken' | 'too_many' | 'too_large' | 'retired'

/** Set when a window is reserved, and never changed: what it is, and of whose content. */
type FixedOfWindow =
  | 'tenant'
  | 'name'
  | 'id'
  | 'origin'
  | 'sessionId'
  | 'lineage'
  | 'shared'
  | 'parent'
  | 'dialect'
  | 'model'
  | 'clientSalt'
  | 'messageCount'
  | 'replyAt'
  | 'promptTokens'
  | 'textFrom'
  | 'createdAt'

/** The fields of a window that change after its reservation. Content never does, but for the ids found by the freeze. */
export type WindowChange = Partial<Omit<WindowRecord, FixedOfWindow | 'pinUntil' | 'note'>> & {
  readonly tokenIds?: Uint32Array
  /** Undefined takes it away. */
  readonly pinUntil?: number | undefined
  readonly note?: string | undefined
}

export type DeletionChange = Partial<Pick<DeletionRecord, 'pin' | 'state' | 'tries' | 'nextTryAt' | 'receipt'>>

/** The last turn of a session, so that it can be frozen later. Holds no salt but the client's own. */
export interface RetainedPrompt {
  readonly prompt: Prompt
  readonly replyAt: number
  readonly promptTokens?: number
  readonly clientSalt?: string
  readonly lineage: string
  readonly parent?: string
}

/** What comes behind an id in the order of all events. */
export interface EventPage {
  /** Oldest first. */
  readonly events: readonly StoredEvent[]
  /** Events behind the id may have been dropped before they were read, or the id is none of this store's. */
  readonly missed: boolean
  /** The id to go on behind: everything up to it has been looked at. */
  readonly cursor: string
}

/** Something that another process changed: what was read of it before is not to be believed. `event`: one was appended. */
export type StoreChange =
  | { readonly kind: 'session'; readonly tenant: string; readonly id: string }
  | { readonly kind: 'lineage'; readonly tenant: string; readonly lineage: string }
  | { readonly kind: 'event'; readonly tenant: string }

/**
 * Every method rejects with code `STORE_UNAVAILABLE` when the store cannot be reached or written.
 * Ids have no meaning outside their tenant: every read names it.
 */
export interface Store {
  /** For the log and `/cwm/v1/health`, e.g. `sqlite`. */
  readonly kind: string
  /**
   * How long what was read may be believed without asking again, milliseconds, unless `onChange` says otherwise before.
   * Infinity where no other process writes. Asked anew each time: a shared store takes it back while others may not know of this process.
   */
  readonly believeMs: number
  /** Calls back for changes by other processes. Answers how to stop. */
  onChange(listener: (change: StoreChange) => void): () => void

  /** Resolves if the store answers reads. Writes nothing, also not what waits to be written, so it may be asked every second. */
  ping(): Promise<void>
  /** Stores `value` under `key` unless something is there already; answers what is there now. Atomic. */
  claimMeta(key: string, value: string): Promise<string>

  // Sessions.

  /**
   * Answers the stored session of that tenant and id, or stores `fresh` and answers it. Atomic: two callers get one lineage.
   * Throws `BUSY` when the lineage of `fresh` is retired.
   */
  getOrCreateSession(fresh: SessionRecord): Promise<SessionRecord>
  getSession(tenant: string, id: string): Promise<SessionRecord | undefined>
  /** Newest last turn first. */
  listSessions(tenant: string, page: PageRequest): Promise<Page<SessionRecord>>
  /**
   * Stores a session and the traces of its turn, in one transaction. `isNew`: it was never stored, and is inserted if its lineage is not
   * retired; otherwise it replaces the stored one if that is still there with the same `head`. Spaces that the stored one has stay in any
   * case: turns of two processes may each have noted some.
   * A boundary whose digest another session holds already becomes ambiguous and stays so until it expires.
   */
  saveTurn(session: SessionRecord, trace: TurnTrace, isNew: boolean): Promise<SaveOutcome>
  /**
   * Binds a stored session to a window's lineage: replaces it if it is still there with the head before (`session.head - 1`), and the new
   * lineage is not retired. `isNew` as in `saveTurn`.
   */
  bindSession(session: SessionRecord, isNew: boolean): Promise<SaveOutcome>
  /** Boundaries that are stored and not expired at `now` (milliseconds since the epoch), by digest. */
  findBoundaries(tenant: string, digests: readonly string[], now: number): Promise<ReadonlyMap<string, BoundaryHit>>
  /** The session that a stored response belongs to; undefined when it is not this tenant's, unknown, or expired at `now`. */
  findResponse(tenant: string, responseId: string, now: number): Promise<string | undefined>
  /** Drops up to `atMost` boundaries and response ids that expired before `now`; answers how many. */
  dropExpired(now: number, atMost: number): Promise<number>
  /**
   * Of all tenants: up to `atMost` sessions whose last turn was before `before`, oldest first. `lasting`: those with a name or behind a
   * window; otherwise those to which nothing but their boundaries leads.
   */
  listIdle(before: number, lasting: boolean, atMost: number): Promise<readonly SessionRecord[]>
  /**
   * Takes a session out, with its boundaries, response ids and retained turn, and writes the order to delete what it has left elsewhere;
   * in one transaction. Answers false when it is gone, has another lineage now, or has had a turn since `session.lastTurnAt`.
   * `sequences`: token ids whose chunks are to go, as far as they are known.
   */
  removeSession(session: SessionRecord, order: DeletionRecord, sequences: readonly Uint32Array[]): Promise<boolean>

  // Lineages.

  /** The lineage under `key` (a user, or the tenant as a whole), `fresh` where there was none. Atomic. */
  claimLineage(tenant: string, key: string, fresh: string): Promise<string>
  /** Sessions and windows of a lineage. `sessions` counts, at most 1,000. */
  holdersOf(
    tenant: string,
    lineage: string,
  ): Promise<{ readonly sessions: number; readonly windows: readonly WindowRecord[] }>
  /**
   * Retires a lineage that no session and no window holds and that nobody shares; answers whether it is retired now. From then on nothing can
   * be stored under it, and when this resolves no other process believes any more that it may be dispatched.
   */
  retireLineage(tenant: string, lineage: string): Promise<boolean>
  isRetired(tenant: string, lineage: string): Promise<boolean>

  // Windows.

  /** Takes a name for a freeze: stores record and content if the name is free or its last freeze failed and holds no pin. Atomic, limits included. */
  reserveWindow(record: WindowRecord, content: WindowContent, limits?: WindowLimits): Promise<ReserveOutcome>
  /** Changes the window with this name and `id`; answers false when it is gone or was replaced. A field given as undefined is taken out. */
  changeWindow(tenant: string, name: string, id: string, change: WindowChange): Promise<boolean>
  getWindow(tenant: string, name: string): Promise<WindowRecord | undefined>
  getWindowContent(tenant: string, name: string, id: string): Promise<WindowContent | undefined>
  /** Newest first, unless the query says otherwise. Throws `INVALID_FIELD` for a cursor of another query. */
  listWindows(tenant: string, query: WindowQuery): Promise<Page<WindowRecord>>
  /** Of all tenants, for the reconciler: windows in one of `states`, or that may hold a pin (`pinning`, `pinned`). In order of creation. */
  listForRepair(states: readonly WindowState[], page: PageRequest): Promise<Page<WindowRecord>>
  /** Takes a window out with its content and writes the order to delete its chunks, in one transaction. False when it is gone or was replaced. */
  removeWindow(record: WindowRecord, order: DeletionRecord, sequences: readonly Uint32Array[]): Promise<boolean>

  // Deletes.

  /** Writes an order to delete what something has left that goes on living elsewhere, with the ids of its chunks. */
  addDeletion(order: DeletionRecord, sequences: readonly Uint32Array[]): Promise<void>
  getDeletion(tenant: string, id: string): Promise<DeletionRecord | undefined>
  getDeletionSequences(tenant: string, id: string): Promise<readonly Uint32Array[]>
  /** Newest first. */
  listDeletions(tenant: string, page: PageRequest): Promise<Page<DeletionRecord>>
  /** Of all tenants: open ones whose `nextTryAt` has come at `now`, oldest first. */
  listOpenDeletions(now: number, atMost: number): Promise<readonly DeletionRecord[]>
  /** `state: 'done'` drops the sequences. False when there is no such delete. */
  changeDeletion(tenant: string, id: string, change: DeletionChange): Promise<boolean>
  /** Drops up to `atMost` deletes that were done and asked for before `before`; answers how many. */
  dropDeletions(before: number, atMost: number): Promise<number>

  // Tenants.

  usageOf(tenant: string): Promise<TenantUsage>
  /** The sums over all tenants. */
  usageOfAll(): Promise<TenantUsage>
  /**
   * Up to `atMost` (1 to 1,001) tenants after the id `after` that have a session or a window, ordered by their ASCII ids. Tenants that hold
   * nothing any more may be among them.
   */
  listTenants(after: string, atMost: number): Promise<readonly string[]>
  /** Empty for a tenant that has chosen nothing. */
  getChoices(tenant: string): Promise<TenantChoices>
  /** Replaces them; empty ones are dropped. */
  putChoices(tenant: string, choices: TenantChoices): Promise<void>
  /**
   * Drops what else is stored of a tenant whose sessions and windows are gone: boundaries, responses, shared lineages, retained turns,
   * audit entries, events, choices, deletes that are done. Open deletes stay until they are done.
   */
  forgetTenant(tenant: string): Promise<void>
  /** Keeps the newest `keep` entries in all. */
  appendAudit(entry: AuditEntry, keep: number): Promise<void>
  /** Newest first; of all tenants where none is named. */
  listAudit(tenant: string | undefined, page: PageRequest): Promise<Page<AuditEntry>>

  // Events. Their ids tell times, so that nobody learns from them how much others do.

  /** Stores an event behind all others, and keeps the newest `keep` in all; answers its id. */
  appendEvent(event: CwmEvent, keep: number): Promise<string>
  /** An id behind which comes what is stored from now on. */
  eventIdNow(): Promise<string>
  /** Up to `atMost` (1 to 1,000) events behind an id; of all tenants where none is named. Fewer than that: there are no more now. */
  listEvents(tenant: string | undefined, after: string, atMost: number): Promise<EventPage>

  // Retained turns.

  /**
   * Replaces the session's retained turn, and drops those longest unwritten while all together are over `maxBytes`.
   * Keeps nothing of a session that is not stored: it was ended meanwhile.
   */
  putRetained(tenant: string, sessionId: string, turn: RetainedPrompt, maxBytes: number): Promise<void>
  getRetained(tenant: string, sessionId: string): Promise<RetainedPrompt | undefined>

  /**
   * Seals up to `atMost` rows anew that are not sealed with the current key (or are not sealed at all); answers how many. 0: all are.
   * Resolves to 0 without encryption.
   */
  reseal(atMost: number): Promise<number>

  /**
   * Takes a piece of work, or keeps it, for `ms` milliseconds; false while another process has it. Always true where no other process
   * writes.
   */
  takeWork(work: string, ms: number): Promise<boolean>
  /** Gives it back, if this process has it. */
  dropWork(work: string): Promise<void>

  /** Ends with everything written. */
  close(): Promise<void>
}

/** Each store is put together from parts; these are the same in both. */
export type TenantMethods = Pick<
  Store,
  'usageOf' | 'usageOfAll' | 'listTenants' | 'getChoices' | 'putChoices' | 'forgetTenant' | 'appendAudit' | 'listAudit'
>

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
