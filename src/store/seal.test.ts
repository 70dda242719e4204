// Sealed values: their format, and all the ways in which they must not open.

import { describe, expect, it } from 'vitest'
import { openValue, type Place, Sealer, sealCheck, sealValue, verifySealCheck } from './seal.ts'

const oldKey = Buffer.alloc(32, 1)
const newKey = Buffer.alloc(32, 2)
const place: Place = ['prompt', 'acme', 'draft', 'window-1']
const text = Buffer.from('a secret plan')

describe('a sealed value', () => {
  it('consists of version, key id, nonce, ciphertext and tag, and is never the same twice', () => {
    const sealer = new Sealer(oldKey)

    const [one, two] = [sealer.seal(text, place), sealer.seal(text, place)]

    expect(one.length).toBe(1 + 4 + 12 + text.length + 16)
    expect([one.readUInt8(0), one.readUInt32BE(1)]).toEqual([1, sealer.keyId])
    expect(one.equals(two)).toBe(false)
    expect(one.includes('secret')).toBe(false)
    expect(sealer.open(one, place).equals(text)).toBe(true)
  })

  it('opens in no other place, even if the names are equal when joined', () => {
    const sealer = new Sealer(oldKey)
    const sealed = sealer.seal(text, place)

    const others: readonly Place[] = [
      ['token_ids', 'acme', 'draft', 'window-1'],
      ['prompt', 'globex', 'draft', 'window-1'],
      ['prompt', 'acme', 'draft', 'window-2'],
      ['prompt', 'acme', 'draftwindow-1'],
      ['prompt', 'acme'],
    ]
    for (const other of others) {
      expect(() => sealer.open(sealed, other)).toThrow(expect.objectContaining({ code: 'WINDOW_CORRUPT' }))
    }
  })

  it('does not open if any byte was changed or removed', () => {
    const sealer = new Sealer(oldKey)
    const sealed = sealer.seal(text, place)

    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed)
      changed.writeUInt8(sealed.readUInt8(at) ^ 1, at)
      expect(() => sealer.open(changed, place)).toThrow()
      expect(() => sealer.open(sealed.subarray(0, at), place)).toThrow()
    }
  })

  it('opens with an older key, and names the missing setting without it', () => {
    const sealed = new Sealer(oldKey).seal(text, place)

    expect(new Sealer(newKey, [oldKey]).open(sealed, place).equals(text)).toBe(true)
    expect(() => new Sealer(newKey).open(sealed, place)).toThrow(
      expect.objectContaining({ code: 'CONFIG', message: expect.stringContaining('encryption_keys_old') }),
    )
  })

  it('can be empty', () => {
    const sealer = new Sealer(oldKey)

    expect(sealer.open(sealer.seal(Buffer.alloc(0), place), place)).toHaveLength(0)
  })
})

describe('a stored value', () => {
  it('is clear text without a sealer, and readable with one', () => {
    const stored = sealValue(undefined, text, place)

    expect(stored).toEqual({ bytes: text, keyId: 0 })
    expect(openValue(new Sealer(oldKey), stored, place)).toBe(text)
  })

  it('that is sealed cannot be read without a key', () => {
    const stored = sealValue(new Sealer(oldKey), text, place)

    expect(() => openValue(undefined, stored, place)).toThrow(
      expect.objectContaining({ code: 'CONFIG', message: expect.stringContaining('encryption_key') }),
    )
  })
})

describe('the check value', () => {
  it('allows a start with keys that open it, and any start if nothing was sealed', () => {
    const stored = sealCheck(new Sealer(oldKey))

    expect(() => verifySealCheck(new Sealer(oldKey), stored)).not.toThrow()
    expect(() => verifySealCheck(new Sealer(newKey, [oldKey]), stored)).not.toThrow()
    expect(() => verifySealCheck(undefined, undefined)).not.toThrow()
  })

  it.each([undefined, new Sealer(newKey)])('prevents the start without a matching key', (sealer) => {
    const stored = sealCheck(new Sealer(oldKey))

    expect(() => verifySealCheck(sealer, stored)).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  })
})
