// What histories may be compared with, under which salt their KV lies, and which turns are kept.

import type { IncomingHttpHeaders } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../base/json.ts'
import { narrowingHeaders } from '../identity/known-clients.ts'
import { scopeOf } from '../identity/scope.ts'
import { KeyDeriver, type SaltParts } from './salt.ts'

const secret = Buffer.from('0123456789abcdef0123456789abcdef')
const parts: SaltParts = { tenant: 't', lineage: 'l', model: 'm', kvEpoch: 0, clientSalt: '' }

describe('scopeOf', () => {
  const scope = (headers: IncomingHttpHeaders, body: JsonObject) => scopeOf('t', 'chat', headers, body)

  it('differs by tenant and by dialect', () => {
    const scopes = [scopeOf('a', 'chat', {}, {}), scopeOf('b', 'chat', {}, {}), scopeOf('a', 'messages', {}, {})]

    expect(new Set(scopes).size).toBe(3)
  })

  it.each(narrowingHeaders)('is narrowed by the header %s', (name) => {
    const scopes = [scope({}, {}), scope({ [name]: 'a' }, {}), scope({ [name]: 'b' }, {})]

    expect(new Set(scopes).size).toBe(3)
    expect(scope({ [name]: '' }, {})).toBe(scope({}, {}))
  })

  it.each(['prompt_cache_key', 'session_id', 'litellm_session_id', 'safety_identifier', 'user'])(
    'is narrowed by the field %s',
    (field) => {
      const scopes = [{}, { [field]: 'a' }, { [field]: 'b' }, { metadata: { [field]: 'a' } }].map((body) =>
        scope({}, body),
      )

      expect(new Set(scopes.slice(0, 3)).size).toBe(3)
      expect(scope({}, { [field]: null })).toBe(scopes[0])
    },
  )

  it.each(['session_id', 'user_id'])('is narrowed by metadata.%s', (field) => {
    const scopes = ['a', 'b'].map((value) => scope({}, { metadata: { [field]: value } }))

    expect(new Set([...scopes, scope({}, {}), scope({}, { [field]: 'a' })]).size).toBe(field === 'user_id' ? 3 : 4)
  })

  it('does not depend on anything else', () => {
    expect(scope({ 'user-agent': 'x', authorization: 'y' }, { model: 'm', metadata: { other: 'x' }, tools: [] })).toBe(
      scope({}, {}),
    )
  })

  it('keeps a header and a field of one name apart, and no text runs into the next', () => {
    expect(scope({ session_id: 'a' }, {})).not.toBe(scope({}, { session_id: 'a' }))
    const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '[', ']', '\\'), maxLength: 5 })
    const sent = fc.record({ a: text, b: text, c: text, tenant: text })
    const seen = new Map<string, string>()
    for (const { a, b, c, tenant } of fc.sample(sent, { numRuns: 3000, seed: 1 })) {
      const made = scopeOf(tenant, 'chat', { session_id: a }, { user: b, metadata: { user_id: c } })
      const spelt = JSON.stringify([tenant, a, b, c])
      expect(seen.get(made) ?? spelt).toBe(spelt)
      seen.set(made, spelt)
    }
  })
})

describe('KeyDeriver', () => {
  const deriver = new KeyDeriver(secret)

  it('makes salts that vLLM and file systems take', () => {
    expect(deriver.salt(parts)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(deriver.salt(parts)).toBe(new KeyDeriver(Buffer.from(secret)).salt({ ...parts }))
  })

  it('makes another salt when any part differs, or the secret', () => {
    const salts = [
      deriver.salt(parts),
      deriver.salt({ ...parts, tenant: 'u' }),
      deriver.salt({ ...parts, lineage: 'k' }),
      deriver.salt({ ...parts, model: 'n' }),
      deriver.salt({ ...parts, kvEpoch: 1 }),
      deriver.salt({ ...parts, clientSalt: 'mine' }),
      deriver.salt({ ...parts, tenant: 't","l', lineage: '' }),
      new KeyDeriver(Buffer.from('another secret')).salt(parts),
    ]

    expect(new Set(salts).size).toBe(salts.length)
  })

  it('shows nothing of a key in the tenant it makes of it', () => {
    expect(deriver.tenant('sk-1')).toMatch(/^k-[A-Za-z0-9_-]{22}$/)
    expect(deriver.tenant('sk-1')).not.toBe(deriver.tenant('sk-2'))
    expect(deriver.tenant(undefined)).toBe('anonymous')
    expect(deriver.tenant('anonymous')).not.toBe('anonymous')
    expect(deriver.tenant('')).not.toBe('anonymous')
  })

  it('tells secrets apart without telling them', () => {
    expect(deriver.checkValue()).toBe(new KeyDeriver(Buffer.from(secret)).checkValue())
    expect(deriver.checkValue()).not.toBe(new KeyDeriver(Buffer.from('another')).checkValue())
    expect(JSON.stringify(deriver)).toBe('{}')
  })
})
