// Identifies who sent a request: the tenant that an API key belongs to, or the operator.

import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { LRUCache } from 'lru-cache'
import { type Credentials, keyHash, readApiKey, readCredentials } from '../base/auth.ts'
import type { Now } from '../base/clock.ts'
import { CwmError } from '../base/errors.ts'
import { isLoopback } from '../base/loopback.ts'
import { type Caller, policyOfKey } from '../base/tenants.ts'
import type { ClientAddresses } from './client-addresses.ts'
import { ExpiryTimer } from './expiry-timer.ts'
import type { KeyDeriver } from './salt.ts'
import type { StoredKeys } from './stored-keys.ts'
import type { KnownKey, Tenants } from './tenants.ts'

export interface CallerKeys {
  readonly operatorKey: string | undefined
  /** Sent upstream instead of the client's key. */
  readonly upstreamApiKey: string | undefined
}

export interface CallerParts {
  readonly deriver: Pick<KeyDeriver, 'tenant'>
  readonly tenants: Tenants
  /** Keys created by REST. They belong to listed tenants. */
  readonly stored: Pick<StoredKeys, 'byHash' | 'lookUp' | 'markUsed' | 'nextExpiry' | 'onChange' | 'requireTrust'>
  readonly addresses: Pick<ClientAddresses, 'groupOf'>
  readonly now: Now
}

/** A caller, and its key if tenants are listed. */
interface Identified {
  readonly caller: Caller
  readonly key: KnownKey | undefined
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
  readonly #parts: CallerParts
  #operatorHash: Buffer | undefined
  #upstreamApiKey: string | undefined
  readonly #callers = new LRUCache<string, Identified>({ max: MAX_CALLERS })
  /** One per open stream of events. */
  readonly #watchers = new Set<() => void>()
  /** By socket, for clients that share by address. So a caller is created once per connection, not once per request. */
  #lastCallers = new WeakMap<object, LastCaller>()
  /** Requests with an unknown key that could not be looked up, because the store did not answer. */
  readonly #unchecked = new WeakSet<IncomingMessage>()
  readonly #expiries: ExpiryTimer

  constructor(parts: CallerParts, keys: CallerKeys) {
    this.#parts = parts
    this.#expiries = new ExpiryTimer(parts.now, (now) => this.#nextExpiry(now))
    this.#expiries.onExpiry(() => this.#notify())
    parts.stored.onChange((hasRemoved) => (hasRemoved ? this.#forget() : this.#expiries.arm()))
    this.update(keys)
  }

  /** Call this also after a change of the tenants. From now on, requests are identified by the new keys and tenants. */
  update({ operatorKey, upstreamApiKey }: CallerKeys): void {
    this.#operatorHash = operatorKey === undefined ? undefined : Buffer.from(keyHash(operatorKey))
    this.#upstreamApiKey = upstreamApiKey
    this.#forget()
  }

  close(): void {
    this.#expiries.close()
  }

  /** Calls back when keys may have become invalid, so that whatever lasts longer than a request can be checked again. Returns a function that stops this. */
  watch(onUpdate: () => void): () => void {
    this.#watchers.add(onUpdate)
    return () => void this.#watchers.delete(onUpdate)
  }

  /**
   * Waits until an unknown key is looked up in the store, because another process may have made it a moment ago. Undefined for all other
   * requests. Never rejects: the request is rejected when it is identified.
   */
  recognize(request: IncomingMessage): Promise<void> | undefined {
    const { tenants, stored } = this.#parts
    if (!tenants.areListed) return undefined
    const apiKey = keyIn(request)
    if (apiKey === undefined || this.#isOperator(apiKey)) return undefined
    try {
      if (this.#keyWith(keyHash(apiKey)) !== undefined) return undefined
    } catch {
      return undefined // known, but the store cannot confirm it
    }
    return stored.lookUp()?.catch(() => void this.#unchecked.add(request))
  }

  /**
   * Identifies the caller on forwarded paths. Returns a promise only for a key that is unknown here. Throws `UNAUTHORIZED` for an unknown or
   * expired key, for no key if tenants are listed, and for the operator's key, which must never go upstream; `INVALID_HEADER` for two different
   * keys; `STORE_UNAVAILABLE` if the key has to be checked in the store, and that does not answer.
   */
  identify(request: IncomingMessage): Caller | Promise<Caller> {
    const credentials = readCredentials(request)
    const { key, otherScheme } = credentials
    const apiKey = key ?? otherScheme
    if (apiKey === undefined) return this.#inGroup(this.#client(credentials, request).caller, '', request)
    // `update` clears this. No header contains a line break, so it separates safely.
    const remembered = key === undefined || otherScheme === undefined ? apiKey : `${key}\n${otherScheme}`
    const known = this.#callers.get(remembered)
    if (known !== undefined) {
      if (known.key !== undefined) this.#use(known.key)
      return this.#inGroup(known.caller, remembered, request)
    }
    if (this.#isOperator(apiKey)) {
      throw unauthorized("the operator's key is for paths under /cwm/ only; use a client's key here")
    }
    const found = () => {
      const identified = this.#client(credentials, request)
      this.#callers.set(remembered, identified)
      return this.#inGroup(identified.caller, remembered, request)
    }
    const lookedUp = this.recognize(request)
    return lookedUp === undefined ? found() : lookedUp.then(found)
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
    const policy = this.#parts.tenants.policyOf('operator')
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
      const { caller } = this.#client(credentials, request)
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
    const policy = this.#parts.tenants.policyOf(tenant)
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
    const { tenants, addresses } = this.#parts
    return tenants.areListed ? undefined : addresses.groupOf(request)
  }

  /** If tenants are listed, only the key counts, and an `Authorization` of another scheme (from a proxy in front) is ignored. */
  #client({ key, otherScheme }: Credentials, request: IncomingMessage): Identified {
    const apiKey = key ?? otherScheme
    const { tenants, deriver } = this.#parts
    if (!tenants.areListed) {
      const tenant = deriver.tenant(apiKey, key === undefined ? undefined : otherScheme)
      const sent = this.#upstreamApiKey ?? apiKey
      const policy = tenants.policyOf(tenant)
      const caller = { tenant, sharer: tenant, actor: 'key', apiKey: sent, operator: false, policy }
      return { caller, key: undefined }
    }
    if (apiKey === undefined)
      throw unauthorized('send your API key, as "authorization: Bearer KEY", "x-api-key: KEY" or "api-key: KEY"')
    const known = this.#keyWith(keyHash(apiKey))
    if (known === undefined) {
      if (!this.#unchecked.has(request)) throw unauthorized('unknown API key; ask the operator of this cwm for a key')
      throw new CwmError(
        'STORE_UNAVAILABLE',
        'cwm cannot check this API key, because the store does not answer; try again later',
      )
    }
    this.#use(known)
    const { tenant, name, policy } = known
    const caller = { tenant, sharer: tenant, actor: name, apiKey: this.#upstreamApiKey, operator: false, policy }
    return { caller, key: known }
  }

  /** The key of the settings or of the store with this hash. Throws `STORE_UNAVAILABLE`. */
  #keyWith(hash: string): KnownKey | undefined {
    const { tenants, stored } = this.#parts
    const listed = tenants.byKeyHash(hash)
    if (listed !== undefined) return listed
    const made = stored.byHash(hash)
    if (made === undefined || !tenants.isListed(made.tenant)) return undefined
    const { sha256: _, createdAt: __, rate, ...key } = made
    return { ...key, policy: policyOfKey(tenants.policyOf(made.tenant), rate) }
  }

  /** Throws `UNAUTHORIZED` if the key has expired, and `STORE_UNAVAILABLE` if the store has not confirmed it for too long. */
  #use({ expiresAt, id }: KnownKey): void {
    const { stored, now } = this.#parts
    if (expiresAt !== undefined && now() >= expiresAt) {
      throw unauthorized(
        `this API key expired at ${new Date(expiresAt).toISOString()}; ask the operator of this cwm for a new one`,
      )
    }
    if (id === undefined) return
    stored.requireTrust()
    stored.markUsed(id)
  }

  #nextExpiry(now: number): number | undefined {
    const times = [this.#parts.tenants.nextExpiry(now), this.#parts.stored.nextExpiry(now)]
    return times.reduce((first, at) => (first === undefined || (at !== undefined && at < first) ? at : first))
  }

  /** Call this after a change of keys or tenants. */
  #forget(): void {
    this.#callers.clear()
    this.#lastCallers = new WeakMap()
    this.#expiries.arm()
    this.#notify()
  }

  #notify(): void {
    for (const onUpdate of [...this.#watchers]) onUpdate()
  }

  #isOperator(apiKey: string | undefined): boolean {
    if (apiKey === undefined || this.#operatorHash === undefined) return false
    return timingSafeEqual(Buffer.from(keyHash(apiKey)), this.#operatorHash)
  }
}

/** Undefined without a key, and for credentials that are rejected later. */
function keyIn(request: IncomingMessage): string | undefined {
  try {
    return readApiKey(request)
  } catch {
    return undefined
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
