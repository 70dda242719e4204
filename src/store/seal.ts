// Encryption at rest for every store: AES-256-GCM with a random nonce per value, bound to the place where the value lies, so that
// one cannot be moved to another row. What is sealed, and under which place, is the stores' own. No text of a value gets into an error.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { CwmError } from '../base/errors.ts'

/** Where a value lies: what it is, its tenant, then what names it. Sealed in one place, it opens in no other. */
export type Place = readonly [what: string, tenant: string, ...names: string[]]

/** A value as a store keeps it. `keyId` 0: in clear. */
export interface Kept {
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
  /** Of the key that seals; never 0. */
  readonly keyId: number
  readonly #current: Key
  readonly #keys: ReadonlyMap<number, Key>

  /** Keys of 32 bytes. Throws `CONFIG` when two different ones have the same id (one in four billion). */
  constructor(current: Uint8Array, older: readonly Uint8Array[] = []) {
    const keys = new Map<number, Key>()
    for (const secret of [...older, current]) {
      const id = idOf(secret)
      const other = keys.get(id)
      if (other !== undefined && Buffer.compare(other.secret, secret) !== 0) {
        throw new CwmError('CONFIG', 'two encryption keys cannot be told apart by their id: make another one')
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

  /** Throws `CONFIG` when its key is not among ours, `WINDOW_CORRUPT` when it was changed or lay somewhere else. */
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

/** What a store keeps of `plain`: sealed if there is a sealer. */
export function keep(sealer: Sealer | undefined, plain: Uint8Array, place: Place): Kept {
  return sealer === undefined ? { bytes: plain, keyId: 0 } : { bytes: sealer.seal(plain, place), keyId: sealer.keyId }
}

/** The bytes that were given to {@link keep}. Throws as {@link Sealer.open} does. */
export function reveal(sealer: Sealer | undefined, kept: Kept, place: Place): Uint8Array {
  if (kept.keyId === 0) return kept.bytes
  if (sealer === undefined) throw keyMissing()
  return sealer.open(kept.bytes, place)
}

/** The meta key under which a store keeps its check value, once something may be sealed in it. */
export const sealCheckKey = 'encryption_check'
const checkPlace: Place = ['check', '']
const checkText = 'cwm'

/** The check value of this sealer's current key. */
export function sealCheck(sealer: Sealer): string {
  return sealer.seal(Buffer.from(checkText), checkPlace).toString('base64')
}

/**
 * Proves that the keys fit the store: `stored` is its check value, undefined where nothing was ever sealed.
 * Throws `CONFIG` with words for whoever starts cwm.
 */
export function verifySealCheck(sealer: Sealer | undefined, stored: string | undefined): void {
  if (stored === undefined) return
  if (sealer === undefined) {
    throw new CwmError('CONFIG', 'the store is encrypted: set encryption_key to the key that it was written with')
  }
  try {
    sealer.open(Buffer.from(stored, 'base64'), checkPlace)
  } catch (thrown) {
    throw new CwmError(
      'CONFIG',
      'the store was encrypted with another key than encryption_key: if the key was changed, put the one before into ' +
        'encryption_keys_old until everything is sealed anew',
      { cause: thrown },
    )
  }
}

/** Not 0, which means in clear. Tells nothing of the key but that it is this one. */
function idOf(secret: Uint8Array): number {
  return createHash('sha256').update('cwm key id\0').update(secret).digest().readUInt32BE(0) || 1
}

function boundTo(place: Place): Buffer {
  return Buffer.from(JSON.stringify(place))
}

function keyMissing(): CwmError {
  return new CwmError(
    'CONFIG',
    'a stored value is sealed with a key that cwm was not given: put it into encryption_key or encryption_keys_old',
  )
}

function corrupt([what]: Place): CwmError {
  return new CwmError(
    'WINDOW_CORRUPT',
    `a sealed value (${what}) cannot be opened: it was changed or moved in the store`,
  )
}
