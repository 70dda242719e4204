import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { LoginCookie } from './cookie.ts'

const key = randomBytes(32)
const noon = 1_800_000_000_000
const HOUR = 3_600_000

describe('LoginCookie', () => {
  it.each([
    { apiKey: 'sk-1' },
    { apiKey: 'operator', tenant: 'acme', operator: true },
    { apiKey: 'operator', operator: true },
  ] as const)('opens what it sealed: %j', (identity) => {
    const cookie = new LoginCookie(key, () => noon)

    const value = cookie.seal(identity, 'tenant:acme')

    expect(cookie.open(value)).toEqual({
      identity,
      owner: 'tenant:acme',
      id: value.slice(0, 16),
      until: noon + 8 * HOUR,
    })
    expect(cookie.seal(identity, 'tenant:acme')).not.toBe(value)
  })

  it('is over after eight hours', () => {
    let now = noon
    const cookie = new LoginCookie(key, () => now)
    const value = cookie.seal({ apiKey: 'sk-1' }, 'operator')

    now += 8 * HOUR - 1
    expect(cookie.open(value)).toBeDefined()
    now += 1
    expect(cookie.open(value)).toBeUndefined()
  })

  // Sealed by the version before logins had an owner.
  it('opens a cookie without an owner', () => {
    const fixed = Buffer.alloc(32, 7)
    const before = 'AAECAwQFBgcICQoLY6OIAHRCvDBViMfviXVd2M0ew-BsCxsTLP9bir7nXz3mX3bSp_9Mh4KO37gov5L7e-HXZGDCtA'

    expect(new LoginCookie(fixed, () => noon).open(before)).toEqual({
      identity: { apiKey: 'sk-1' },
      owner: undefined,
      id: 'AAECAwQFBgcICQoL',
      until: noon + 8 * HOUR,
    })
  })

  it('does not open what another secret sealed', () => {
    const other = new LoginCookie(randomBytes(32), () => noon)

    expect(new LoginCookie(key, () => noon).open(other.seal({ apiKey: 'sk-1' }, 'operator'))).toBeUndefined()
  })

  it('does not open a value with any byte changed, cut or added', () => {
    const cookie = new LoginCookie(key, () => noon)
    const bytes = Buffer.from(cookie.seal({ apiKey: 'sk-1' }, 'operator'), 'base64url')

    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(i) ^ 1, i)
      expect(cookie.open(changed.toString('base64url'))).toBeUndefined()
      expect(cookie.open(bytes.subarray(0, i).toString('base64url'))).toBeUndefined()
    }
    expect(cookie.open(Buffer.concat([bytes, Buffer.from('x')]).toString('base64url'))).toBeUndefined()
  })

  it.each(['', 'x', 'null', '%%%', 'A'.repeat(4_000)])('does not open %j', (value) => {
    expect(new LoginCookie(key, () => noon).open(value)).toBeUndefined()
  })
})
