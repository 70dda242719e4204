// A turn that was checked, and is to be prepared.

import type { IncomingHttpHeaders } from 'node:http'
import type { BodyReservation } from '../admission/body-budget.ts'
import type { JsonObject } from '../base/json.ts'
import type { Caller, Overflow } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { RawObject } from '../dialects/raw-json.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import type { OperationOptions } from '../windows/operation-audit.ts'

export interface TurnRequest {
  readonly caller: Caller
  readonly control: ControlHeaders
  /** What to do with a prompt that does not fit. */
  readonly overflow: Overflow
  readonly rules: DialectRules
  /** The client's own. */
  readonly headers: IncomingHttpHeaders
  /** What `json` was parsed from. */
  readonly raw: RawObject
  readonly json: JsonObject
  /** The bytes that the request holds. The outgoing body is added if it is not the incoming one. */
  readonly held: Pick<BodyReservation, 'set'>
  /** How many bytes before those of `raw`, in their own buffer, are free. */
  readonly room: number
  /** Its history is a response that the engine keeps. */
  readonly previousResponse: string | undefined
  /** For what this request asks of windows. */
  readonly call: OperationOptions
}
