// What running a turn needs, without HTTP requests and responses.

import type { IncomingHttpHeaders } from 'node:http'
import type { ByteReservation } from '../admission/byte-reservation.ts'
import type { JsonObject } from '../base/json.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { AnswerSink } from '../engines/engine.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import type { RateCharge } from '../rate-limits/rate-charge.ts'
import type { RunningTurn } from './running-turn.ts'
import type { Turn } from './turn.ts'

/** A client's request as far as it was read, and what is prepared for its dispatch. */
export interface RequestInput {
  /** The client's headers, which identify it. */
  readonly headers: IncomingHttpHeaders
  /** The body as it was sent. */
  readonly bytes: Buffer
  /** The parsed body. */
  readonly json: JsonObject
  /** Number of free bytes before `bytes` in the same buffer. */
  readonly room: number
  /** The request's reservation of body bytes. The outgoing body is added if it is a copy. */
  readonly held: Pick<ByteReservation, 'set'>
  /** Its end aborts the request, in every phase. */
  readonly scope: RequestScope
  /** Its rate limit, closed by the caller; undefined without one. */
  readonly charge: RateCharge | undefined
  readonly method: string
  /** Path at the engine, with the query. */
  readonly path: string
  /** Headers for the engine, flat; the body's length is added. */
  readonly outgoing: string[]
}

export interface TurnInput extends RequestInput {
  /** Its session is found by name, by history, or by the stored response that it continues. */
  readonly kind: 'session'
  readonly rules: DialectRules
  readonly control: ControlHeaders
}

/** Receives the answer of a turn. */
export interface TurnSink {
  /** The session was found. The turn may still be rejected. */
  found(turn: Turn): void
  /** Called right before the dispatch. Returns the sink for the engine's bytes, which reports their delivery to `turn`. */
  begin(turn: RunningTurn): AnswerSink
}
