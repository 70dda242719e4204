// What others may know of a turn: each observer is told in the order in which compose lists them. A turn goes on without any of them.

import type { SessionRecord, Usage, WindowRecord } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'
import type { ReplyBoundary } from '../identity/chain.ts'
import type { RetainedTurn } from '../sessions/retained.ts'
import type { Turn } from './turn.ts'

/** A turn whose answer is whole, of status 200, and was read. */
export interface AnsweredTurn {
  readonly caller: Caller
  readonly turn: Turn
  readonly rules: DialectRules
  /** The session's record when the turn was dispatched. */
  readonly before: SessionRecord
  readonly observation: Observation
  /** Of a whole answer, where the engine told it. */
  readonly usage: Usage | undefined
  /** The id under which the engine keeps the answer. */
  readonly responseId: string | undefined
  /** Where the next turn of this history may begin. */
  boundaries(): readonly ReplyBoundary[]
}

/** A turn with messages whose client has its whole answer. */
export interface DeliveredTurn extends AnsweredTurn {
  /** Settles once its session is stored with it, or cannot be; never rejects. */
  readonly stored: Promise<void>
  /** As it is kept for REST. */
  readonly retained: RetainedTurn
  /** The window that the client itself freezes with this turn, once that is over; undefined when it freezes none. */
  readonly ownWindow: Promise<WindowRecord | undefined> | undefined
}

/** None of these may throw, nor keep the turn longer than it needs to: it holds the body. */
export interface TurnObserver {
  /** The first byte of a stream is here, so long after the dispatch. */
  began?(caller: Caller, ms: number): void
  /** Its last bytes are not out yet: the next turn may follow on their heels. */
  answered?(turn: AnsweredTurn): void
  /** Its next turn must find what this one leaves: nothing may wait before that is noted. */
  delivered?(turn: DeliveredTurn): void
}
