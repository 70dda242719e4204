// What other parts may observe of a turn. Observers are notified in the order in which compose lists them; turns also work without them.

import type { SessionRecord, Usage, WindowRecord } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'
import type { ReplyBoundary } from '../identity/chain.ts'
import type { RetainedTurn } from '../sessions/retained.ts'
import type { Turn } from './turn.ts'

/** A turn with a complete answer of status 200 that was read. */
export interface AnsweredTurn {
  readonly caller: Caller
  readonly turn: Turn
  readonly rules: DialectRules
  /** The session's record at dispatch. */
  readonly before: SessionRecord
  readonly observation: Observation
  /** Usage of the complete answer, if the engine reported it. */
  readonly usage: Usage | undefined
  /** The id under which the engine stored the answer. */
  readonly responseId: string | undefined
  /** The boundaries from which the next turn of this history may continue. */
  boundaries(): readonly ReplyBoundary[]
}

/** A turn with messages whose client has received the complete answer. */
export interface DeliveredTurn extends AnsweredTurn {
  /** Resolves once the session is stored with it, or cannot be. Never rejects. */
  readonly stored: Promise<void>
  /** The turn as retained for REST. */
  readonly retained: RetainedTurn
  /** The window that the client freezes with this turn, once that has finished; undefined if it freezes none. */
  readonly ownWindow: Promise<WindowRecord | undefined> | undefined
}

/** None of these may throw or keep the turn longer than needed, because it holds the body. */
export interface TurnObserver {
  /** The first byte of a stream arrived, `ms` after the dispatch. */
  began?(caller: Caller, ms: number): void
  /** Its last bytes are not sent yet: the next turn may follow them at once. */
  answered?(turn: AnsweredTurn): void
  /** The next turn must find what this one leaves, so record it synchronously. */
  delivered?(turn: DeliveredTurn): void
}
