// A checked request that is ready to be prepared as a turn.

import type { IncomingHttpHeaders } from 'node:http'
import type { ByteReservation } from '../admission/byte-reservation.ts'
import type { JsonObject } from '../base/json.ts'
import type { RequestTrace } from '../base/request-trace.ts'
import type { Caller, Overflow } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { RawObject } from '../dialects/raw-json.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import type { RateCharge } from '../rate-limits/rate-charge.ts'
import type { OperationOptions } from '../windows/operation-audit.ts'

export interface TurnRequest {
  readonly caller: Caller
  readonly control: ControlHeaders
  /** What to do with a prompt that does not fit. */
  readonly overflow: Overflow
  readonly rules: DialectRules
  /** The client's headers. */
  readonly headers: IncomingHttpHeaders
  /** The bytes of `json`. */
  readonly raw: RawObject
  readonly json: JsonObject
  /** The request's reservation of body bytes. The outgoing body is added if it is a copy. */
  readonly held: Pick<ByteReservation, 'set'>
  /** Number of free bytes before those of `raw` in the same buffer. */
  readonly room: number
  /** The id of the stored response that it continues. */
  readonly previousResponse: string | undefined
  /** Options for calls to windows on behalf of this request. */
  readonly call: OperationOptions
  /** Undefined without a rate limit. */
  readonly charge: RateCharge | undefined
  /** The request's trace; undefined unless tracing is on. */
  readonly trace: RequestTrace | undefined
}
