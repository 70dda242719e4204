// What handlers know of a request beside its path and body: Node's own request and answer, and who sent it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { TenantPolicy } from '../base/tenants.ts'
import type { Opener } from '../sessions/new-sessions.ts'
import type { OperationOptions } from '../windows/operation-audit.ts'

export interface Bindings {
  readonly Bindings: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse }
}

export interface ApiCaller {
  readonly tenant: string
  readonly policy: TenantPolicy
  /** For sessions that this request begins. */
  readonly sessionOwner: Opener
  readonly operation: OperationOptions
}

/** Who sent the request. Throws `UNAUTHORIZED`. */
export type CallerOf = (c: Context<Bindings>) => ApiCaller
