// The login, sealed in a cookie. Any proxy with the same secret can read it, and a restart logs nobody out. The API key in it is checked on
// each request, so a key that was removed from the settings stops working at once. Which logins have ended is in the store: logins.ts.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Now } from '../base/clock.ts'
import { isObject, parseJson } from '../base/json.ts'

/** The API key of the user. */
export interface Identity {
  readonly apiKey: string
  /** The tenant that was named at login, with the operator's key. */
  readonly tenant?: string
  /** Whether it is the operator's key. Absent in a cookie of an older version. */
  readonly operator?: true
}

export interface OpenedCookie {
  readonly identity: Identity
  /** Unique to this cookie. */
  readonly id: string
  /** Whose bound of ended logins it counts toward. Absent in a cookie of an older version. */
  readonly owner: string | undefined
  /** When it expires, milliseconds since the epoch. */
  readonly until: number
}

/** A working day. */
const LIFETIME_MS = 8 * 3_600_000
const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

export class LoginCookie {
  readonly maxAgeS = LIFETIME_MS / 1_000
  readonly #key: Buffer
  readonly #now: Now

  /** `key`: 32 bytes. */
  constructor(key: Buffer, now: Now) {
    this.#key = key
    this.#now = now
  }

  seal({ apiKey, tenant, operator }: Identity, owner: string): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES })
    const text = JSON.stringify({ apiKey, tenant, operator, owner, until: this.#now() + LIFETIME_MS })
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
      'base64url',
    )
  }

  /** Undefined if the value was not sealed with this key, or has expired. */
  open(value: string): OpenedCookie | undefined {
    const bytes = Buffer.from(value, 'base64url')
    if (bytes.length <= NONCE_BYTES + TAG_BYTES) return undefined
    const nonce = bytes.subarray(0, NONCE_BYTES)
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES })
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
      const payload = parseJson(text.toString('utf8'))
      if (!isObject(payload)) return undefined
      const { apiKey, tenant, operator, owner, until } = payload
      if (typeof apiKey !== 'string' || typeof until !== 'number' || until <= this.#now()) return undefined
      return {
        identity: {
          apiKey,
          ...(typeof tenant === 'string' ? { tenant } : {}),
          ...(operator === true ? { operator } : {}),
        },
        // The nonce is random and authenticated, and cookies of older versions have one too.
        id: nonce.toString('base64url'),
        owner: typeof owner === 'string' ? owner : undefined,
        until,
      }
    } catch {
      return undefined
    }
  }
}
