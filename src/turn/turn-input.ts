// What a turn needs to be run, whoever asks for it: no request and no response of HTTP.

import type { IncomingHttpHeaders } from 'node:http'
import type { BodyReservation } from '../admission/body-budget.ts'
import type { JsonObject } from '../base/json.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { AnswerSink } from '../engines/engine.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import type { RunningTurn } from './running-turn.ts'
import type { Turn } from './turn.ts'

export interface TurnInput {
  /** Its session is found by name, by history, or by the stored response that it continues. */
  readonly kind: 'session'
  readonly rules: DialectRules
  readonly control: ControlHeaders
  /** The client's own: they say who it is. */
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
  /** What `bytes` were parsed to. */
  readonly json: JsonObject
  /** How many bytes before `bytes`, in their own buffer, are free. */
  readonly room: number
  /** The bytes that the request holds. The outgoing body is added if it is not the incoming one. */
  readonly held: Pick<BodyReservation, 'set'>
  /** Ends the turn, in every phase. */
  readonly scope: RequestScope
  readonly method: string
  /** At the engine, with its query. */
  readonly path: string
  /** For the engine, flat; the body's length is added. */
  readonly outgoing: string[]
}

/** Who gets a turn's answer. */
export interface TurnSink {
  /** It is known whose turn it is. It may still be refused. */
  found(turn: Turn): void
  /** Called right before the dispatch. Answers where the engine's bytes go; what becomes of them is reported to `turn`. */
  begin(turn: RunningTurn): AnswerSink
}
