// What the store's methods take and return, besides the records.

import type { DeletionRecord } from '../base/deletion-records.ts'
import type { StoredEvent } from '../base/events.ts'
import type { Boundary, PinState, Prompt, SessionRecord, WindowRecord, WindowState } from '../base/records.ts'

export interface Page<T> {
  readonly items: readonly T[]
  /** Pass as `cursor` for the next page; absent on the last one. */
  readonly nextCursor?: string
  /** Pass as `cursor` for the page before; absent on the first one. Only lists of sessions and windows have it, and `before`. */
  readonly previousCursor?: string
  /** Items before this page. Inserts and deletes since the first page was read are not counted. */
  readonly before?: number
}

export interface PageRequest {
  /** 1 to 1,000 items. */
  readonly limit: number
  readonly cursor?: string
}

/** Which windows, in which order. All conditions must hold; an absent one matches everything. */
export interface WindowQuery extends PageRequest {
  /** Windows with all of these tags. */
  readonly tags?: readonly string[]
  readonly model?: string
  readonly state?: WindowState
  readonly pin?: PinState
  readonly sessionId?: string
  readonly parent?: string
  /** Text in the name, ignoring case (ASCII). */
  readonly text?: string
  /** Milliseconds since the epoch: created at or after, and before. */
  readonly createdFrom?: number
  readonly createdBefore?: number
  /** Default `created`. `thawed`: by last thaw, or without one by freeze or creation. Ties are ordered by name. */
  readonly sort?: 'created' | 'name' | 'thawed' | 'tokens'
  /** Default `desc`. A cursor is only valid for the query that it came from. */
  readonly order?: 'asc' | 'desc'
}

/** Which windows, in any order. */
export type WindowConditions = Omit<WindowQuery, keyof PageRequest | 'sort' | 'order'>

/** What a boundary leads to: one session, or several with the same text. */
export type BoundaryHit = { readonly sessionId: string } | 'ambiguous'

/** What a turn leaves beside its session. */
export interface TurnTrace {
  readonly boundaries: readonly Boundary[]
  /**
   * How many boundaries of each rank a session keeps; older ones are dropped. A turn that leaves one of a rank above 0 extends the expiry
   * of all the session's boundaries above rank 0, because the conversation after them continues. A store may skip an extension by less than
   * a thirty-second of their time.
   */
  readonly keepBoundaries: number
  /** It need not be written at once: it may be written some milliseconds later, together with other turns. */
  readonly mayWait?: boolean
  /** Ids of stored responses (`/v1/responses`) that now lead to this session. */
  readonly responses?: readonly StoredResponse[]
}

/** The id of a response that an engine stores. `engine`: the id of that engine, if there are several. */
export interface StoredResponse {
  readonly id: string
  readonly expiresAt: number
  readonly engine?: string
}

/** The session and engine of a stored response. `engine` is absent if there was only one, and in responses of older versions. */
export interface ResponseOwner {
  readonly sessionId: string
  readonly engine?: string
}

/**
 * `saved`; `gone`: the session was ended meanwhile, or its lineage retired; `moved`: the stored session has another head, because a window
 * was thawed into it meanwhile; `no_base`: its base window was deleted meanwhile, and no session holds it. Only `saved` changes anything.
 */
export type SaveOutcome = 'saved' | 'gone' | 'moved' | 'no_base'

/** A tenant's limits for a new window. Absent: none. */
export interface WindowLimits {
  readonly maxWindows?: number
  readonly maxBytes?: number
}

/** `taken`: the name is in use. `too_many`, `too_large`: a limit would be exceeded. `retired`: the lineage is retired. */
export type ReserveOutcome = 'stored' | 'taken' | 'too_many' | 'too_large' | 'retired'

/** Set when a window is reserved, and never changed: its identity, and the origin of its content. */
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

/** The fields of a window that may change after its reservation. Content never changes, except for the ids found by the freeze. */
export type WindowChange = Partial<Omit<WindowRecord, FixedOfWindow | 'pinUntil' | 'note'>> & {
  readonly tokenIds?: Uint32Array
  /** Undefined removes it. */
  readonly pinUntil?: number | undefined
  readonly note?: string | undefined
}

/** A deleted window whose content stays because sessions are based on it. */
export interface HeldWindow {
  readonly window: WindowRecord
  /** The id of its delete. */
  readonly deletion: string
}

export interface RemovedSessions {
  readonly removed: readonly SessionRecord[]
  readonly order: DeletionRecord
}

export type DeletionChange = Partial<
  Pick<DeletionRecord, 'lineages' | 'pin' | 'state' | 'tries' | 'nextTryAt' | 'releasedAt' | 'receipt'>
>

/** The last turn of a session, so that it can be frozen later. Contains no salt except the client's own. */
export interface RetainedPrompt {
  readonly prompt: Prompt
  readonly replyAt: number
  readonly promptTokens?: number
  readonly clientSalt?: string
  readonly lineage: string
  readonly parent?: string
  /** Missing in turns stored by older versions. */
  readonly parentId?: string
}

/** The events after an id, in the order of all events. */
export interface EventPage {
  /** Oldest first. */
  readonly events: readonly StoredEvent[]
  /** Events of the tenant (or of any) after the id may have been dropped before they were read, or the id is not from this store. */
  readonly missed: boolean
  /** The id to continue after: everything up to it has been examined. */
  readonly cursor: string
}

/** Something that another process changed, so that earlier reads of it are outdated. `event`: one was appended. `engines`: which ones drain. `keys`: one was added or removed. */
export type StoreChange =
  | { readonly kind: 'session'; readonly tenant: string; readonly id: string }
  | { readonly kind: 'lineage'; readonly tenant: string; readonly lineage: string }
  | { readonly kind: 'event'; readonly tenant: string }
  | { readonly kind: 'engines' }
  | { readonly kind: 'keys' }

/** A login to the dashboard. `owner`: whose bound it counts toward. `until`: when it expires, milliseconds since the epoch. */
export interface Login {
  readonly owner: string
  readonly id: string
  readonly until: number
}

/** A part of a list that has the same number of items of each tenant at most, so that no tenant's items hide another's. */
export interface TenantsPage {
  /** The id of the last tenant of the previous part; empty for the first part. */
  readonly after: string
  /** Items of each tenant. */
  readonly perTenant: number
  /** The list ends with the tenant with which it has as many items. */
  readonly enough: number
}
