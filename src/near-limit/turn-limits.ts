// What turns ask of this room. Without it they would go out as they are.

import type { Rollover } from '../base/records.ts'
import { type CutContext, ensureRecorded, type RecordParts, type TurnToRecord } from './ensure-recorded.ts'
import { type FitRequest, type Fitted, fitTurn, type OverflowParts } from './overflow.ts'

export class TurnLimits {
  readonly #parts: OverflowParts & RecordParts

  constructor(parts: OverflowParts & RecordParts) {
    this.#parts = parts
  }

  /**
   * Applies the overflow policy to a turn. Returns what to send. Throws `CONTEXT_LENGTH_EXCEEDED` for a turn that does not fit and must not
   * or cannot be cut, and what the engine call throws.
   */
  fit(request: FitRequest): Promise<Fitted> {
    return fitTurn(this.#parts, request)
  }

  /**
   * Returns the window that holds the full prompt of a turn that is cut, recording one if needed. Throws if it cannot be stored; the turn
   * must then not be dispatched.
   */
  record(context: CutContext, turn: TurnToRecord): Promise<Rollover> {
    return ensureRecorded(this.#parts, context, turn)
  }
}
