// The records of deletes: the stored order, and what its execution proved.

import type { KvHandle, KvSpace, PinState, Sharing, StepMs } from './records.ts'

/** Why chunks of a deleted record still exist: who else holds them. `isolation`: the lineage is shared by user or tenant. */
export type KeptFor = 'session' | 'window' | 'isolation'

/** Sessions whose base window is a certain window. */
export interface DependentSessions {
  readonly count: number
  /** The first 20 ids, sorted. */
  readonly sessions: readonly string[]
}

/** What a delete verified. */
export interface DeletionReceipt {
  /** Chunks that were found and are gone. */
  readonly deletedChunks: number
  /** Chunks that still exist but should not; they are retried. Null: unknown. */
  readonly residualChunks: number | null
  /** Its chunks that stay because others hold them. */
  readonly keptChunks: number
  readonly keptFor: readonly KeptFor[]
  /** Of a window: the sessions based on it. Its text stays until the last of them leaves. Absent: none. */
  readonly heldBy?: DependentSessions
  /** Whether its pin was released; null if it had none. */
  readonly unpinned: boolean | null
  /** Nothing holds the lineage any longer: its salt is never dispatched again. */
  readonly lineageRetired: boolean
  readonly ms: StepMs
  readonly warnings: readonly string[]
}

/**
 * A delete: the order that is stored when the record is removed, and its result. `open`: something remains to be done or checked again.
 * `done`: see `receipt`.
 */
export interface DeletionRecord {
  readonly tenant: string
  readonly id: string
  /**
   * `sessions`: many sessions that were never continued, deleted together. `requests`: the KV of requests without a session; the order
   * is written before they are sent (sessions/request-lineages.ts).
   */
  readonly kind: 'window' | 'session' | 'sessions' | 'requests'
  /** The window's name, the session's id, or how many sessions or requests. */
  readonly name: string
  readonly lineage: string
  /** Of `sessions`: the lineages of all, `lineage` among them; empty once it is done. */
  readonly lineages?: readonly string[]
  /** Of `requests`: how many lineages `requestLineage` derives from `lineage`. Absent: the lineage itself, which is shared. */
  readonly requests?: number
  readonly shared?: Sharing
  /** The lineage whose chunks are deleted. */
  readonly spaces: readonly KvSpace[]
  readonly spacesLost?: boolean
  /** Id of a window that sessions are still based on. Its content is held, and the order stays open, until the last of them leaves. */
  readonly heldWindow?: string
  /** When cwm found that the last of them had left, milliseconds since the epoch. The order is retried for a week from then. */
  readonly releasedAt?: number
  /** The pin to release, with the names under which it was made. */
  readonly pin: PinState
  readonly keys?: KvHandle
  readonly state: 'open' | 'done'
  readonly at: number
  readonly tries: number
  /** Milliseconds since the epoch. */
  readonly nextTryAt: number
  readonly receipt?: DeletionReceipt
}
