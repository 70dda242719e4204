// The scope of a request: which ids of a client separate histories.

import type { IncomingHttpHeaders } from 'node:http'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../base/json.ts'
import { narrowingHeaders } from './known-clients.ts'
import { scopeOf } from './scope.ts'

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
