// Logins to the dashboard. A key begins one, logging out ends it. The cookie holds the login; the store lists logins that ended before they
// expired. Each request queries the store, so a login that ends here has ended on every proxy.

import { createHash } from 'node:crypto'
import type { Now } from '../base/clock.ts'
import type { LoginMethods } from '../store/store.ts'
import type { Login } from '../store/store-values.ts'
import { type Identity, LoginCookie } from './cookie.ts'

export interface LoginParts {
  /** Seals logins, 32 bytes. */
  readonly loginKey: Buffer
  readonly store: LoginMethods
  /** Whether the settings list this tenant. */
  readonly isListed: (tenant: string) => boolean
  readonly now: Now
}

/**
 * Ended logins that are listed per owner, for at most eight hours. Once an owner ends more than that, its oldest logins end with them. A
 * listed tenant is an owner, so it cannot end the logins of others.
 */
const MAX_ENDED = 1_000
/** If no tenants are listed, anybody can invent keys. These share a fixed number of owners, so that the list has a bound. */
const UNLISTED_OWNERS = 256

export class Logins {
  readonly #cookie: LoginCookie
  readonly #parts: LoginParts

  constructor(parts: LoginParts) {
    this.#parts = parts
    this.#cookie = new LoginCookie(parts.loginKey, parts.now)
  }

  /** Lifetime of a cookie, seconds. */
  get maxAgeS(): number {
    return this.#cookie.maxAgeS
  }

  /** The cookie of a new login. `tenant`: whom the identity acts for. */
  begin(identity: Identity, tenant: string): string {
    return this.#cookie.seal(identity, this.#ownerOf(identity, tenant))
  }

  /** Undefined for a cookie that is invalid, expired, or logged out. Throws `STORE_UNAVAILABLE`. */
  async find(cookie: string): Promise<Identity | undefined> {
    const opened = this.#open(cookie)
    if (opened === undefined || (await this.#parts.store.isLoginEnded(opened.login))) return undefined
    return opened.identity
  }

  /** Ends the login of this cookie, and of every copy of it. Throws `STORE_UNAVAILABLE`. */
  async end(cookie: string): Promise<void> {
    const opened = this.#open(cookie)
    if (opened !== undefined) await this.#parts.store.endLogin(opened.login, MAX_ENDED, this.#parts.now())
  }

  #open(cookie: string): { readonly identity: Identity; readonly login: Login } | undefined {
    const opened = this.#cookie.open(cookie)
    if (opened === undefined) return undefined
    const { identity, id, owner = unlistedOwner(id), until } = opened
    return { identity, login: { owner, id, until } }
  }

  #ownerOf(identity: Identity, tenant: string): string {
    if (identity.operator === true || identity.tenant !== undefined) return 'operator'
    return this.#parts.isListed(tenant) ? `tenant:${tenant}` : unlistedOwner(tenant)
  }
}

function unlistedOwner(of: string): string {
  const hash = createHash('sha256').update(of).digest()
  return `unlisted:${hash.readUInt32BE() % UNLISTED_OWNERS}`
}

/** The same bytes, until the login has ended: then the stream ends before its next chunk. Events are sent at least every 15 seconds. */
export function whileLoggedIn(
  body: ReadableStream<Uint8Array>,
  isEnded: () => Promise<boolean>,
): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        // While the store does not answer, it has no events to send either.
        if (done || (await isEnded().catch(() => false))) {
          controller.close()
          await reader.cancel()
        } else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
