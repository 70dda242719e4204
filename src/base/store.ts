// The durable store as cwm sees it. One contract suite (src/store/contract) holds every implementation to this text.

import type { Boundary, SessionRecord, WindowContent, WindowRecord, WindowState } from './records.ts'

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

/** What a boundary leads to: one session, or several that came to hold the same words. */
export type BoundaryHit = { readonly sessionId: string } | 'ambiguous'

/** The fields of a window that change after its reservation. Content and identity never do, but for the ids found by the freeze. */
export type WindowChange = Partial<
  Pick<WindowRecord, 'state' | 'reason' | 'frozenAt' | 'checksum' | 'pin' | 'keys' | 'receipt'>
> & { readonly tokenIds?: Uint32Array }

/**
 * Every method rejects with code `STORE_UNAVAILABLE` when the store cannot be reached or written.
 * Ids have no meaning outside their tenant: every read names it.
 */
export interface Store {
  /** For the log and `/cwm/v1/health`, e.g. `sqlite`. */
  readonly kind: string

  /** Stores `value` under `key` unless something is there already; answers what is there now. Atomic. */
  claimMeta(key: string, value: string): Promise<string>

  /** Answers the stored session of that tenant and id, or stores `fresh` and answers it. Atomic: two callers get one lineage. */
  getOrCreateSession(fresh: SessionRecord): Promise<SessionRecord>
  getSession(tenant: string, id: string): Promise<SessionRecord | undefined>
  /** Newest last turn first. */
  listSessions(tenant: string, page: PageRequest): Promise<Page<SessionRecord>>
  /**
   * Stores a session (inserted or replaced) and the boundaries of its turn, in one transaction.
   * A boundary whose digest another session holds already becomes ambiguous and stays so until it expires.
   * Each session keeps its newest `keepBoundaries`; older ones are dropped.
   */
  saveTurn(session: SessionRecord, boundaries: readonly Boundary[], keepBoundaries: number): Promise<void>
  /** Boundaries that are stored and not expired at `now` (milliseconds since the epoch), by digest. */
  findBoundaries(tenant: string, digests: readonly string[], now: number): Promise<ReadonlyMap<string, BoundaryHit>>
  /** Drops up to `atMost` boundaries that expired before `now`; answers how many. */
  dropExpired(now: number, atMost: number): Promise<number>
  /**
   * Drops up to `atMost` sessions whose last turn was before `before`, that no client named and that stand behind no window: nothing can
   * find them any more but their own id. Windows frozen from them keep their lineage. Answers how many.
   */
  dropForgotten(before: number, atMost: number): Promise<number>

  /**
   * Takes a name for a freeze: stores record and content if the name is free or its last freeze failed and holds no pin.
   * Answers false if it is taken. Atomic.
   */
  reserveWindow(record: WindowRecord, content: WindowContent): Promise<boolean>
  /** Changes the window with this name and `id`; answers false when it is gone or was replaced. */
  changeWindow(tenant: string, name: string, id: string, change: WindowChange): Promise<boolean>
  getWindow(tenant: string, name: string): Promise<WindowRecord | undefined>
  getWindowContent(tenant: string, name: string, id: string): Promise<WindowContent | undefined>
  /** Newest first. */
  listWindows(tenant: string, page: PageRequest): Promise<Page<WindowRecord>>
  /** Of all tenants, for the reconciler: windows in one of `states`, or that may hold a pin. In order of creation. */
  listForRepair(states: readonly WindowState[], page: PageRequest): Promise<Page<WindowRecord>>

  /** Ends with everything written. */
  close(): Promise<void>
}
