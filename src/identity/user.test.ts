// The user that a request names. Two different users must never be treated as one.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import { userOf } from './user.ts'

const claudeCode = (session: string, account = '', device = 'd1') => ({
  metadata: { user_id: JSON.stringify({ device_id: device, account_uuid: account, session_id: session }) },
})

describe('userOf', () => {
  it('is the text that the client sent, combined if several fields name one', () => {
    const metadata = { user_id: 'c' }
    const bodies = [{ user: 'b', metadata }, { user: 'b', metadata: { user_id: 'd' } }, { user: 'b' }, { metadata }]

    expect(new Set(bodies.map((body) => userOf({}, body))).size).toBe(4)
    expect(userOf({}, { safety_identifier: 'a', user: 'b' })).not.toBe(
      userOf({}, { safety_identifier: 'b', user: 'a' }),
    )
    expect(userOf({}, { safety_identifier: 'a' })).toBe('a')
    expect(userOf({}, { user: 'b' })).toBe('b')
    expect(userOf({}, { safety_identifier: '', user: null, metadata })).toBe('c')
    expect(userOf({}, {})).toBeUndefined()
  })

  it('is constant across conversations of one Claude Code, by account or else by device', () => {
    expect(userOf({}, claudeCode('s1'))).toBe(userOf({}, claudeCode('s2')))
    expect(userOf({}, claudeCode('s1', 'a1', 'd1'))).toBe(userOf({}, claudeCode('s2', 'a1', 'd2')))
    expect(userOf({}, claudeCode('s1', '', 'd1'))).not.toBe(userOf({}, claudeCode('s1', '', 'd2')))
    expect(userOf({}, claudeCode('s1', 'x'))).not.toBe(userOf({}, claudeCode('s1', '', 'x')))
  })

  it.each(['x-openwebui-user-id', 'x-litellm-customer-id', 'x-litellm-end-user-id'])(
    'is read from the header %s',
    (name) => {
      const users = [{}, { [name]: 'a' }, { [name]: 'b' }].map((headers) => userOf(headers, { user: 'app' }))

      expect(new Set(users).size).toBe(3)
      expect(userOf({ [name]: '' }, {})).toBeUndefined()
    },
  )

  it('differs for different values of any type', () => {
    const seen = new Map<string, string>()
    const values = fc.oneof(
      fc.constantFrom<JsonValue>(
        1,
        '1',
        true,
        'true',
        [1],
        ['1'],
        { a: 1 },
        { a: '1' },
        '{"a":1}',
        [],
        {},
        0,
        false,
        '0',
      ),
      fc.jsonValue() as fc.Arbitrary<JsonValue>,
      fc.string({ unit: fc.constantFrom('\u0000', 'j', 's', 'o', 'n', ':', '1'), minLength: 1, maxLength: 8 }),
    )
    for (const value of fc.sample(values, { numRuns: 2000, seed: 7 })) {
      const user = userOf({}, { user: value })
      if (user === undefined) continue
      const spelt = JSON.stringify(sorted(value))
      expect(seen.get(user) ?? spelt).toBe(spelt)
      seen.set(user, spelt)
    }
    expect(seen.size).toBeGreaterThan(500)
  })

  it('does not depend on the order of members, and is of bounded length', () => {
    expect(userOf({}, { user: { a: 1, b: [2] } })).toBe(userOf({}, { user: { b: [2], a: 1 } }))
    expect(userOf({}, { user: { a: 'x'.repeat(100_000) } })?.length).toBeLessThan(600)
  })
})

function sorted(value: JsonValue): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(sorted)
  return Object.entries(value)
    .map(([key, member]) => [key, sorted((member ?? null) as JsonValue)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1))
    .concat([['an object', 1]])
}
