// Types of the dashboard's Hono application.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Context, Hono } from 'hono'
import type { Identity } from './cookie.ts'

export interface Env {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

export interface Viewer {
  readonly isLoggedIn: boolean
  /** Logged in with the operator's key. */
  readonly isOperator: boolean
  /** The tenant whose data an operator looks at. Undefined for all tenants, and for everybody else, who see their own. */
  readonly tenant: string | undefined
  readonly identity: Identity | undefined
}

/** `viewer`: who sent the request; absent until somebody asked. */
export interface Bindings {
  Bindings: Env
  Variables: { viewer?: Promise<Viewer> }
}

export type App = Hono<Bindings>
export type Ctx = Context<Bindings>
