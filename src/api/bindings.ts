// What handlers know about a request besides its path and body: Node's request and response, and the sender.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context } from 'hono'
import type { TenantPolicy } from '../base/tenants.ts'
import type { SessionOwner } from '../sessions/new-sessions.ts'
import type { OperationOptions } from '../windows/operation-audit.ts'

export interface Bindings {
  readonly Bindings: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse }
  /** `isCounted`: the handler has reserved the bytes of its answer. */
  readonly Variables: { isCounted?: boolean }
}

export interface ApiCaller {
  readonly tenant: string
  /** For the audit log: see `Caller.actor`. */
  readonly actor: string
  /** The operator acts for the tenant. */
  readonly operator: boolean
  /** Whose share of the slots the request uses. */
  readonly sharer: string
  readonly policy: TenantPolicy
  /** Owner of the sessions that this request starts. */
  readonly sessionOwner: SessionOwner
  readonly operation: OperationOptions
}

/** Identifies the sender of a request. Throws `UNAUTHORIZED`. */
export type CallerOf = (c: Context<Bindings>) => ApiCaller
