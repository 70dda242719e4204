// Encryption at rest for every store: AES-256-GCM with a random nonce per value, bound to the place of the value, so that a value cannot be
// moved to another row. Each store decides what is sealed, and under which place. Errors contain no text of a value.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { CwmError } from '../base/errors.ts'

/** The place of a value: its kind, its tenant, then what identifies it. Sealed in one place, it opens in no other. */
export type Place = readonly [what: string, tenant: string, ...names: string[]]

/** A value as stores hold it: sealed, or clear text if `keyId` is 0. */
export interface StoredValue {
  readonly bytes: Uint8Array
  readonly keyId: number
}

interface Key {
  readonly id: number
  readonly secret: Uint8Array
}

const version = 1
const nonceStart = 5
const textStart = 17
const tagBytes = 16

/** Seals with one key and opens with that and older ones. */
export class Sealer {
  /** The id of the sealing key; never 0. */
  readonly keyId: number
  readonly #current: Key
  readonly #keys: ReadonlyMap<number, Key>

  /** Keys of 32 bytes. Throws `CONFIG` if two different ones have the same id (one in four billion). */
  constructor(current: Uint8Array, older: readonly Uint8Array[] = []) {
    const keys = new Map<number, Key>()
    for (const secret of [...older, current]) {
      const id = idOf(secret)
      const other = keys.get(id)
      if (other !== undefined && Buffer.compare(other.secret, secret) !== 0) {
        throw new CwmError('CONFIG', 'two encryption keys have the same id: generate another one')
      }
      keys.set(id, { id, secret })
    }
    this.#keys = keys
    this.#current = { id: idOf(current), secret: current }
    this.keyId = this.#current.id
  }

  /** Version, key id (4 bytes), nonce (12), ciphertext, tag (16). */
  seal(plain: Uint8Array, place: Place): Buffer {
    const head = Buffer.alloc(nonceStart)
    head.writeUInt8(version, 0)
    head.writeUInt32BE(this.keyId, 1)
    const nonce = randomBytes(textStart - nonceStart)
    const cipher = createCipheriv('aes-256-gcm', this.#current.secret, nonce)
    cipher.setAAD(boundTo(place))
    return Buffer.concat([head, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }

  /** Throws `CONFIG` if its key is unknown, `WINDOW_CORRUPT` if it was changed or moved. */
  open(sealed: Uint8Array, place: Place): Buffer {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
    if (bytes.length < textStart + tagBytes || bytes.readUInt8(0) !== version) throw corrupt(place)
    const key = this.#keys.get(bytes.readUInt32BE(1))
    if (key === undefined) throw keyMissing()
    const decipher = createDecipheriv('aes-256-gcm', key.secret, bytes.subarray(nonceStart, textStart))
    decipher.setAAD(boundTo(place))
    decipher.setAuthTag(bytes.subarray(-tagBytes))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(textStart, -tagBytes)), decipher.final()])
    } catch {
      throw corrupt(place)
    }
  }
}

/** The stored form of `plain`: sealed, or clear text without a sealer. */
export function sealValue(sealer: Sealer | undefined, plain: Uint8Array, place: Place): StoredValue {
  return sealer === undefined ? { bytes: plain, keyId: 0 } : { bytes: sealer.seal(plain, place), keyId: sealer.keyId }
}

/** The original bytes of a stored value. Throws as {@link Sealer.open} does, and `CONFIG` if it is sealed but there is no sealer. */
export function openValue(sealer: Sealer | undefined, stored: StoredValue, place: Place): Uint8Array {
  if (stored.keyId === 0) return stored.bytes
  if (sealer === undefined) throw keyMissing()
  return sealer.open(stored.bytes, place)
}

/** The meta key of a store's check value, which is written before anything is sealed. */
export const sealCheckKey = 'encryption_check'
const checkPlace: Place = ['check', '']
const checkText = 'cwm'

/** The check value of this sealer's current key. */
export function sealCheck(sealer: Sealer): string {
  return sealer.seal(Buffer.from(checkText), checkPlace).toString('base64')
}

/**
 * Verifies that the keys match the store. `stored` is its check value, undefined if nothing was ever sealed. Throws `CONFIG` with
 * instructions for the operator.
 */
export function verifySealCheck(sealer: Sealer | undefined, stored: string | undefined): void {
  if (stored === undefined) return
  if (sealer === undefined) {
    throw new CwmError('CONFIG', 'the store is encrypted: set encryption_key to the key with which it was written')
  }
  try {
    sealer.open(Buffer.from(stored, 'base64'), checkPlace)
  } catch (thrown) {
    throw new CwmError(
      'CONFIG',
      'the store was encrypted with a key other than encryption_key: after a rotation, keep the previous key in ' +
        'encryption_keys_old until everything is re-encrypted',
      { cause: thrown },
    )
  }
}

/** Not 0, which means clear text. Reveals nothing else about the key. */
function idOf(secret: Uint8Array): number {
  return createHash('sha256').update('cwm key id\0').update(secret).digest().readUInt32BE(0) || 1
}

function boundTo(place: Place): Buffer {
  return Buffer.from(JSON.stringify(place))
}

function keyMissing(): CwmError {
  return new CwmError(
    'CONFIG',
    'a stored value is sealed with an unknown key: add that key to encryption_key or encryption_keys_old',
  )
}

function corrupt([what]: Place): CwmError {
  return new CwmError(
    'WINDOW_CORRUPT',
    `a sealed value (${what}) cannot be opened: it was changed or moved in the store`,
  )
}
