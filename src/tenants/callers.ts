// Identifies who sent a request: the tenant that an API key belongs to, or the operator.

import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { LRUCache } from 'lru-cache'
import { type Credentials, keyHash, readApiKey, readCredentials } from '../base/auth.ts'
import { CwmError } from '../base/errors.ts'
import { isLoopback } from '../base/loopback.ts'
import type { Caller } from '../base/tenants.ts'
import type { ClientAddresses } from './client-addresses.ts'
import type { KeyDeriver } from './salt.ts'
import type { Tenants } from './tenants.ts'

export interface CallerKeys {
  readonly operatorKey: string | undefined
  /** Sent upstream instead of the client's key. */
  readonly upstreamApiKey: string | undefined
}

/** The caller of the last request on a connection, found by its credentials. */
interface LastCaller {
  readonly credentials: string
  readonly caller: Caller
}

/** Headers with which a proxy on this machine shows that a request came from elsewhere. A proxy that sends none looks like a local client. */
const forwardingHeaders = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'] as const

/** Names the tenant that the operator acts for. */
const TENANT_HEADER = 'x-cwm-tenant'
const TENANT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** Keys whose tenant is cached. A key that was evicted is hashed again. */
const MAX_CALLERS = 1_000

export class Callers {
  readonly #deriver: Pick<KeyDeriver, 'tenant'>
  readonly #tenants: Tenants
  #operatorHash: Buffer | undefined
  #upstreamApiKey: string | undefined
  readonly #addresses: Pick<ClientAddresses, 'groupOf'>
  readonly #callers = new LRUCache<string, Caller>({ max: MAX_CALLERS })
  /** One per open stream of events. */
  readonly #watchers = new Set<() => void>()
  /** By socket, for clients that share by address. So a caller is created once per connection, not once per request. */
  #lastCallers = new WeakMap<object, LastCaller>()

  constructor(
    deriver: Pick<KeyDeriver, 'tenant'>,
    tenants: Tenants,
    keys: CallerKeys,
    addresses: Pick<ClientAddresses, 'groupOf'>,
  ) {
    this.#deriver = deriver
    this.#addresses = addresses
    this.#tenants = tenants
    this.update(keys)
  }

  /** Call this also after a change of the tenants. From now on, requests are identified by the new keys and tenants. */
  update({ operatorKey, upstreamApiKey }: CallerKeys): void {
    this.#operatorHash = operatorKey === undefined ? undefined : Buffer.from(keyHash(operatorKey))
    this.#upstreamApiKey = upstreamApiKey
    this.#callers.clear()
    this.#lastCallers = new WeakMap()
    for (const onUpdate of [...this.#watchers]) onUpdate()
  }

  /** Calls back after each `update`, so that whatever lasts longer than a request can be checked again. Returns a function that stops this. */
  watch(onUpdate: () => void): () => void {
    this.#watchers.add(onUpdate)
    return () => void this.#watchers.delete(onUpdate)
  }

  /**
   * Identifies the caller on forwarded paths. Throws `UNAUTHORIZED` for an unknown key, for no key if tenants are listed, and for the
   * operator's key, which must never go upstream; `INVALID_HEADER` for two different keys.
   */
  identify(request: IncomingMessage): Caller {
    const credentials = readCredentials(request)
    const { key, otherScheme } = credentials
    const apiKey = key ?? otherScheme
    if (apiKey === undefined) return this.#inGroup(this.#client(credentials), '', request)
    // `update` clears this. No header contains a line break, so it separates safely.
    const remembered = key === undefined || otherScheme === undefined ? apiKey : `${key}\n${otherScheme}`
    const known = this.#callers.get(remembered)
    if (known !== undefined) return this.#inGroup(known, remembered, request)
    if (this.#isOperator(apiKey)) {
      throw unauthorized("the operator's key is for paths under /cwm/ only; use a client's key here")
    }
    const caller = this.#client(credentials)
    this.#callers.set(remembered, caller)
    return this.#inGroup(caller, remembered, request)
  }

  /**
   * Identifies the operator on paths of the engine's administration. Throws `UNAUTHORIZED` for any other key, and if none is set: a request
   * from this machine is not enough to unload a model.
   */
  identifyOperator(request: IncomingMessage): Caller {
    const { key, otherScheme } = readCredentials(request)
    if (!this.#isOperator(key ?? otherScheme)) {
      throw unauthorized("this path of the engine requires the operator's key (setting operator_key)")
    }
    const policy = this.#tenants.policyOf('operator')
    return {
      tenant: 'operator',
      sharer: 'operator',
      actor: 'operator',
      apiKey: this.#upstreamApiKey,
      operator: true,
      policy,
    }
  }

  /** Identifies the caller on REST, where the operator acts for the tenant named in `x-cwm-tenant`. Nobody else may send that header. */
  forRest(request: IncomingMessage): Caller {
    const credentials = readCredentials(request)
    const tenant = readTenantHeader(request)
    if (!this.#isOperator(credentials.key ?? credentials.otherScheme)) {
      if (tenant !== undefined) throw operatorOnly()
      const caller = this.#client(credentials)
      const group = this.#groupOf(request)
      return group === undefined ? caller : { ...caller, sharer: group }
    }
    if (tenant === undefined) {
      throw new CwmError(
        'INVALID_HEADER',
        `with the operator's key, name the tenant to act for in the header ${TENANT_HEADER}`,
        {
          param: TENANT_HEADER,
        },
      )
    }
    const policy = this.#tenants.policyOf(tenant)
    return { tenant, sharer: tenant, actor: 'operator', apiKey: this.#upstreamApiKey, operator: true, policy }
  }

  /** The tenant whose records the caller may read. Undefined means all: the operator, without `x-cwm-tenant`. */
  tenantInView(request: IncomingMessage): string | undefined {
    if (this.#isOperator(readApiKey(request)) && request.headers[TENANT_HEADER] === undefined) return undefined
    return this.forRest(request).tenant
  }

  /** Whose share a subscription to the events of {@link tenantInView} uses; undefined for the tenant's own, or the operator's. */
  sharerInView(request: IncomingMessage): string | undefined {
    return this.#isOperator(readApiKey(request)) ? undefined : this.#groupOf(request)
  }

  /** Throws `UNAUTHORIZED` unless the request has the operator's key or, if no such key is set, comes from this machine. */
  requireOperator(request: IncomingMessage): void {
    if (this.#operatorHash === undefined) {
      const forwarded = forwardingHeaders.some((name) => request.headers[name] !== undefined)
      if (isLoopback(request.socket.remoteAddress) && !forwarded) return
      throw unauthorized('set CWM_OPERATOR_KEY to read this from another machine')
    }
    if (!this.#isOperator(readApiKey(request))) throw unauthorized("this path requires the operator's key")
  }

  /** The caller with its address's share, if it has one. */
  #inGroup(caller: Caller, credentials: string, request: IncomingMessage): Caller {
    const group = this.#groupOf(request)
    if (group === undefined) return caller
    const last = this.#lastCallers.get(request.socket)
    if (last?.credentials === credentials && last.caller.sharer === group) return last.caller
    const grouped = { ...caller, sharer: group }
    this.#lastCallers.set(request.socket, { credentials, caller: grouped })
    return grouped
  }

  /** Undefined where shares count by tenant. */
  #groupOf(request: IncomingMessage): string | undefined {
    return this.#tenants.areListed ? undefined : this.#addresses.groupOf(request)
  }

  /** If tenants are listed, only the key counts, and an `Authorization` of another scheme (from a proxy in front) is ignored. */
  #client({ key, otherScheme }: Credentials): Caller {
    const apiKey = key ?? otherScheme
    const tenants = this.#tenants
    if (!tenants.areListed) {
      const tenant = this.#deriver.tenant(apiKey, key === undefined ? undefined : otherScheme)
      const policy = tenants.policyOf(tenant)
      return { tenant, sharer: tenant, actor: 'key', apiKey: this.#upstreamApiKey ?? apiKey, operator: false, policy }
    }
    if (apiKey === undefined)
      throw unauthorized('send your API key, as "authorization: Bearer KEY", "x-api-key: KEY" or "api-key: KEY"')
    const known = tenants.byKeyHash(keyHash(apiKey))
    if (known === undefined) throw unauthorized('unknown API key; ask the operator of this cwm for a key')
    const { tenant, name, policy } = known
    return { tenant, sharer: tenant, actor: name, apiKey: this.#upstreamApiKey, operator: false, policy }
  }

  #isOperator(apiKey: string | undefined): boolean {
    if (apiKey === undefined || this.#operatorHash === undefined) return false
    return timingSafeEqual(Buffer.from(keyHash(apiKey)), this.#operatorHash)
  }
}

function readTenantHeader({ headers }: IncomingMessage): string | undefined {
  const tenant = headers[TENANT_HEADER]
  if (tenant === undefined || (typeof tenant === 'string' && TENANT_ID.test(tenant))) return tenant
  throw new CwmError('INVALID_HEADER', `${TENANT_HEADER} is not a valid tenant id`, { param: TENANT_HEADER })
}

function unauthorized(message: string): CwmError {
  return new CwmError('UNAUTHORIZED', message, { param: 'authorization' })
}

function operatorOnly(): CwmError {
  return new CwmError('UNAUTHORIZED', `only the operator may name a tenant; remove the header ${TENANT_HEADER}`, {
    param: TENANT_HEADER,
  })
}
