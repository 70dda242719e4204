// Who may share KV, as a salt. The salt leaves the proxy only towards the engine and LMCache.

import { createHmac } from 'node:crypto'

/** Raised when the derivation changes: old KV then is cold, never wrongly shared. */
const SALT_VERSION = 1
const TENANT_VERSION = 1
const SESSION_VERSION = 1

export interface SaltParts {
  readonly tenant: string
  readonly lineage: string
  /** Served model or adapter name, which LMCache's keys lack: docs/engine-behavior.md#chunk-keys. */
  readonly model: string
  /** Raised by the operator when dtype or weights change under the same model path. */
  readonly kvEpoch: number
  /** The client's own `cache_salt`; it splits the client's space and cannot leave it. */
  readonly clientSalt?: string
}

/** Derives salts and tenant ids from the one secret. Keeps no state and holds the secret privately. */
export class KeyDeriver {
  readonly #secret: Buffer

  constructor(secret: Buffer) {
    this.#secret = secret
  }

  /** 43 base64url characters: see docs/engine-behavior.md#salt-format. */
  salt({ tenant, lineage, model, kvEpoch, clientSalt = '' }: SaltParts): string {
    return this.#hmac(['salt', SALT_VERSION, tenant, lineage, model, kvEpoch, clientSalt])
  }

  /** The session id for the engine: one per lineage, and independent of the client's own id. */
  engineSession(tenant: string, lineage: string): string {
    return this.#hmac(['session', SESSION_VERSION, tenant, lineage])
  }

  /**
   * A tenant id, derived one way from an API key and from an `Authorization` of another scheme beside it. The store holds no key, and
   * nothing to guess one from without the secret.
   */
  tenant(apiKey: string | undefined, otherScheme?: string): string {
    if (apiKey === undefined) return 'anonymous'
    const parts = otherScheme === undefined ? [apiKey] : [apiKey, otherScheme]
    return `k-${this.#hmac(['tenant', TENANT_VERSION, ...parts]).slice(0, 22)}`
  }

  /** Equal for equal secrets; kept in the store so that a wrong secret stops the start. */
  checkValue(): string {
    return this.#hmac(['check', 1])
  }

  /** 32 bytes for another use of the secret; of one use nothing of another can be told. */
  key(purpose: string): Buffer {
    return Buffer.from(this.#hmac(['key', purpose]), 'base64url')
  }

  #hmac(parts: readonly (string | number)[]): string {
    return createHmac('sha256', this.#secret).update(JSON.stringify(parts)).digest('base64url')
  }
}
