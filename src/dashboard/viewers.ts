// Who looks at a page, and how the page calls REST on their behalf. Credentials that the browser sends itself are ignored.

import type { IncomingMessage } from 'node:http'
import { getCookie } from 'hono/cookie'
import { credentialHeaders } from '../base/auth.ts'
import { askRest, type CallRest, RestError } from '../base/call-rest.ts'
import type { Ctx, Env, Viewer } from './bindings.ts'
import type { Identity } from './cookie.ts'
import type { Logins } from './logins.ts'

/** Calls REST. Throws `RestError`. */
export type Ask = <T>(method: Parameters<CallRest>[0], path: string, body?: object) => Promise<T>

type RestFetch = (request: Request, env: Env) => Response | Promise<Response>

export interface RestCalls {
  /** Calls REST as the sender of `env.incoming`. */
  readonly callRest: (env: Env) => CallRest
  /** The same, but returns the response unchanged. */
  readonly fetch: RestFetch
}

export const LOGIN_COOKIE = 'cwm_login'
/** The tenant that the operator chose on the page of tenants, or `ALL_TENANTS`. It is no credential: only the operator's login reads it. */
export const TENANT_COOKIE = 'cwm_tenant'
export const ALL_TENANTS = '*'

export class Viewers {
  readonly #logins: Pick<Logins, 'find'>
  readonly #callRest: (env: Env) => CallRest
  readonly #fetch: RestFetch

  constructor(logins: Pick<Logins, 'find'>, { callRest, fetch }: RestCalls) {
    this.#logins = logins
    this.#callRest = callRest
    this.#fetch = fetch
  }

  /** Throws `STORE_UNAVAILABLE` if the login cannot be checked. */
  of(c: Ctx): Promise<Viewer> {
    const viewer = c.get('viewer') ?? this.find(c)
    c.set('viewer', viewer)
    return viewer
  }

  /** The same, but checks the login again. */
  async find(c: Ctx): Promise<Viewer> {
    const cookie = getCookie(c, LOGIN_COOKIE)
    const identity = cookie === undefined ? undefined : await this.#logins.find(cookie)
    const isOperator = identity?.operator === true || identity?.tenant !== undefined
    const chosen = isOperator ? (getCookie(c, TENANT_COOKIE) ?? identity.tenant) : undefined
    return {
      isLoggedIn: identity !== undefined,
      isOperator,
      tenant: chosen === ALL_TENANTS ? undefined : chosen,
      identity,
    }
  }

  /** REST as the viewer of this request. */
  ask(c: Ctx): Ask {
    return async (method, path, body) => {
      const { identity, tenant } = await this.of(c)
      return await this.askAs(c, identity, tenant)(method, path, body)
    }
  }

  /** REST with the operator's key for all tenants, whichever is chosen. Throws a `RestError` for other viewers. */
  askAll(c: Ctx): Ask {
    return async (method, path, body) => {
      const { identity, isOperator } = await this.of(c)
      if (!isOperator) throw new RestError(403, 'This page requires the operator’s key.')
      return await this.askAs(c, identity, undefined)(method, path, body)
    }
  }

  /** REST's response to the viewer, unchanged: for streams and files. It ends when the browser leaves. */
  async fetch(c: Ctx, request: Request): Promise<Response> {
    const { identity, tenant } = await this.of(c)
    return await this.#fetch(request, actingAs(c.env, identity, tenant))
  }

  /** REST with a key that may not be a login yet. */
  askAs(c: Ctx, identity: Identity | undefined, tenant: string | undefined): Ask {
    const rest = this.#callRest(actingAs(c.env, identity, tenant))
    return async (method, path, body) => await askRest(rest, method, path, body, c.req.raw.signal)
  }
}

/** The same request with the viewer's key. */
function actingAs({ incoming, outgoing }: Env, identity: Identity | undefined, tenant: string | undefined): Env {
  const others = { ...incoming.headers }
  for (const name of [...credentialHeaders, 'x-cwm-tenant']) delete others[name]
  const own = {
    ...(identity === undefined ? {} : { authorization: `Bearer ${identity.apiKey}` }),
    ...(tenant === undefined ? {} : { 'x-cwm-tenant': tenant }),
  }
  const headers = { ...others, ...own }
  const rawHeaders = Object.entries(own).flat()
  const acting = Object.create(incoming, { headers: { value: headers }, rawHeaders: { value: rawHeaders } })
  return { incoming: acting as IncomingMessage, outgoing }
}
