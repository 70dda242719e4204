// Derives the salts that decide which requests may share KV. A salt is sent only to the engine and to LMCache.

import { createHmac } from 'node:crypto'

/** Incremented when the derivation changes, so that old KV becomes cold instead of being shared by mistake. */
const SALT_VERSION = 1
const TENANT_VERSION = 1
const SESSION_VERSION = 1
const AFFINITY_VERSION = 1
const TRACE_VERSION = 1

export interface SaltParts {
  readonly tenant: string
  readonly lineage: string
  /** Served model or adapter name, which LMCache's keys lack: docs/engine-behavior.md#chunk-keys. */
  readonly model: string
  /** Incremented by the operator when dtype or weights change under the same model path. */
  readonly kvEpoch: number
  /** The client's own `cache_salt`. It can only partition the client's own space. */
  readonly clientSalt?: string
}

/** Derives salts, tenant ids, and keys from the secret. Stateless; the secret itself is not exposed. */
export class KeyDeriver {
  readonly #secret: Buffer

  constructor(secret: Buffer) {
    this.#secret = secret
  }

  /** 43 base64url characters: see docs/engine-behavior.md#salt-format. */
  salt({ tenant, lineage, model, kvEpoch, clientSalt = '' }: SaltParts): string {
    return this.#derive(['salt', SALT_VERSION, tenant, lineage, model, kvEpoch, clientSalt])
  }

  /** The session id sent to the engine: one per lineage, independent of the client's own id. */
  engineSession(tenant: string, lineage: string): string {
    return this.#derive(['session', SESSION_VERSION, tenant, lineage])
  }

  /**
   * The key that places work on an engine, and that routers see: one per lineage, or per session. It reveals neither, and never equals a
   * salt or the id from `engineSession`.
   */
  affinity(tenant: string, by: 'lineage' | 'session', id: string): string {
    return this.#derive(['affinity', AFFINITY_VERSION, tenant, by, id])
  }

  /** A tenant as routers see it. It reveals neither the tenant's name nor its key. */
  fairness(tenant: string): string {
    return this.#derive(['fairness', AFFINITY_VERSION, tenant])
  }

  /** A session as traces show it. It reveals neither its id nor its tenant. */
  tracedSession(tenant: string, session: string): string {
    return this.#derive(['trace', TRACE_VERSION, tenant, session]).slice(0, 22)
  }

  /**
   * A tenant id: a one-way function of the API key and of any `Authorization` of another scheme. The store therefore holds no keys, and
   * nothing that would allow guessing one without the secret.
   */
  tenant(apiKey: string | undefined, otherScheme?: string): string {
    if (apiKey === undefined) return 'anonymous'
    const parts = otherScheme === undefined ? [apiKey] : [apiKey, otherScheme]
    return `k-${this.#derive(['tenant', TENANT_VERSION, ...parts]).slice(0, 22)}`
  }

  /** Identifies the secret. It is kept in the store, so that startup fails with a wrong secret. */
  checkValue(): string {
    return this.#derive(['check', 1])
  }

  /** A 32-byte key for another purpose. Keys of different purposes are independent of each other. */
  key(purpose: string): Buffer {
    return Buffer.from(this.#derive(['key', purpose]), 'base64url')
  }

  #derive(parts: readonly (string | number)[]): string {
    return createHmac('sha256', this.#secret).update(JSON.stringify(parts)).digest('base64url')
  }
}
