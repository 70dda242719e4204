// Edits of raw JSON are compared with a parser's result, for bodies that no SDK would write but a client may.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyText, gaps, memberOf, space, spelt, textOf, value } from '../../test/support/json-text.ts'
import { RUNS_TIMEOUT_MS, runs } from '../../test/support/runs.ts'
import { CwmError } from '../base/errors.ts'
import { itemsOf, RawObject, setMembers } from './raw-json.ts'

const memberKey = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('cache_salt', 'stream_options', 'messages', 'model', '__proto__', '') },
  { weight: 1, arbitrary: anyText },
)
const body = fc.record({
  members: fc.array(
    memberKey.chain((key) => memberOf(key, value)),
    { maxLength: 6 },
  ),
  gaps,
})

function parse(bytes: Buffer | string): Record<string, unknown> {
  return JSON.parse(bytes.toString()) as Record<string, unknown>
}

function set(text: string, changes: Readonly<Record<string, string>>): string {
  const parsed = parse(text)
  const map = new Map(Object.entries(changes))
  return setMembers(new RawObject(Buffer.from(text)), map, (key) => Object.hasOwn(parsed, key)).toString()
}

/** A replaced member must not occur twice. */
function isThereOnce({ members }: { members: readonly { key: string }[] }, keys: Iterable<string>): boolean {
  return [...keys].every((key) => members.filter((member) => member.key === key).length < 2)
}

/** Own members as a map, so that `__proto__` is an ordinary key. */
function entries(object: Record<string, unknown>): Map<string, unknown> {
  return new Map(
    Object.keys(object).map((key) => [key, Object.getOwnPropertyDescriptor(object, key)?.value as unknown]),
  )
}

describe('setMembers', { timeout: RUNS_TIMEOUT_MS }, () => {
  it('inserts a new member first and keeps every other byte', () => {
    expect(set('{ "model" : "m",\n"n":1.0 }', { cache_salt: '"S"' })).toBe(
      '{"cache_salt":"S", "model" : "m",\n"n":1.0 }',
    )
  })

  it('fills an empty object without a comma, whatever white space it contains', () => {
    expect(set('{}', { cache_salt: '"S"' })).toBe('{"cache_salt":"S"}')
    expect(set(' {\n\t} ', { cache_salt: '"S"', stream: 'true' })).toBe(' {"cache_salt":"S","stream":true\n\t} ')
  })

  it('replaces a member in place, with its white space', () => {
    expect(set('{"a":1 , "cache_salt" : "mine" , "b":2}', { cache_salt: '"S"' })).toBe(
      '{"a":1 , "cache_salt" : "S" , "b":2}',
    )
  })

  it.each([
    '{"cache_salt":"a","cache_salt":"b"}',
    '{"cache_salt":"a","cache\\u005fsalt":{"x":[1]}}',
    '{"\\u0063ache_salt":null,"model":"m","cache_salt":null}',
  ])('rejects replacing a duplicate member, however its key is escaped: %s', (text) => {
    let thrown: unknown
    try {
      set(text, { cache_salt: '"S"' })
    } catch (error) {
      thrown = error
    }

    expect(thrown).toBeInstanceOf(CwmError)
    expect(thrown).toMatchObject({ code: 'INVALID_FIELD', param: 'cache_salt', bound: 'repeated_member' })
  })

  it('never changes a cache_salt inside a tool schema', () => {
    const tools = '[{"function":{"parameters":{"properties":{"cache_salt":{"type":"string"}},"cache_salt":"x"}}}]'

    expect(set(`{"tools":${tools}}`, { cache_salt: '"S"' })).toBe(`{"cache_salt":"S","tools":${tools}}`)
    expect(set(`{"tools":${tools},"cache_salt":"mine"}`, { cache_salt: '"S"' })).toBe(
      `{"tools":${tools},"cache_salt":"S"}`,
    )
  })

  it('does not confuse text inside a string with a member', () => {
    const text = '{"user":"\\",\\"cache_salt\\":\\"x\\\\","cache_salt":"mine"}'

    expect(set(text, { cache_salt: '"S"' })).toBe('{"user":"\\",\\"cache_salt\\":\\"x\\\\","cache_salt":"S"}')
  })

  it('keeps the digits of numbers beyond double precision', () => {
    expect(set('{"a":12345678901234567890,"b":1e400,"c":-0,"d":1.0,"cache_salt":1}', { cache_salt: '"S"' })).toBe(
      '{"a":12345678901234567890,"b":1e400,"c":-0,"d":1.0,"cache_salt":"S"}',
    )
  })

  it('sets the given members of any object, and changes nothing else', () => {
    fc.assert(
      fc.property(body, fc.array(fc.tuple(memberKey, value), { minLength: 1, maxLength: 3 }), (shape, changed) => {
        const text = textOf(shape)
        const changes = new Map(changed)
        fc.pre(isThereOnce(shape, changes.keys()))
        const parsed = parse(text)

        const out = setMembers(new RawObject(Buffer.from(text)), changes, (key) => Object.hasOwn(parsed, key))

        const wanted = entries(parsed)
        for (const [key, valueText] of changes) wanted.set(key, JSON.parse(valueText))
        const got = entries(parse(out))
        expect([...got.keys()].sort()).toEqual([...wanted.keys()].sort())
        for (const [key, expected] of wanted) expect(got.get(key)).toStrictEqual(expected)
      }),
      runs(800),
    )
  })

  it('returns the same with reserved space before the bytes, and writes to no byte outside', () => {
    const changed = fc.array(fc.tuple(memberKey, value), { maxLength: 3 })
    fc.assert(
      fc.property(body, changed, fc.nat(80), (shape, pairs, room) => {
        const text = textOf(shape)
        const changes = new Map(pairs)
        fc.pre(isThereOnce(shape, changes.keys()))
        const parsed = parse(text)
        const present = (key: string) => Object.hasOwn(parsed, key)
        const guard = Buffer.from('before')
        const whole = Buffer.concat([guard, Buffer.alloc(room), Buffer.from(text), Buffer.from('behind')])
        const bytes = whole.subarray(guard.length + room, whole.length - 6)

        const out = setMembers(new RawObject(bytes), changes, present, room)

        expect(out.toString()).toBe(setMembers(new RawObject(Buffer.from(text)), changes, present).toString())
        expect([whole.toString('utf8', 0, 6), whole.toString('utf8', whole.length - 6)]).toEqual(['before', 'behind'])
      }),
      { numRuns: 400, seed: 2 },
    )
  })

  it('returns the sent bytes with only the changed values replaced', () => {
    fc.assert(
      fc.property(body, spelt, (shape, salt) => {
        fc.pre(isThereOnce(shape, ['cache_salt']))
        const text = textOf(shape)
        const parsed = parse(text)

        const out = setMembers(new RawObject(Buffer.from(text)), new Map([['cache_salt', salt]]), (key) =>
          Object.hasOwn(parsed, key),
        )

        const replaced = {
          gaps: shape.gaps,
          members: shape.members.map((m) => (m.key === 'cache_salt' ? { ...m, valueText: salt } : m)),
        }
        const brace = text.indexOf('{')
        const added = shape.members.length === 0 ? `"cache_salt":${salt}` : `"cache_salt":${salt},`
        const wanted = Object.hasOwn(parsed, 'cache_salt')
          ? textOf(replaced)
          : text.slice(0, brace + 1) + added + text.slice(brace + 1)
        expect(out.toString()).toBe(wanted)
      }),
      runs(800),
    )
  })

  it('edits a body of ten million bytes in time linear in its length', () => {
    const text = `{"messages":"${'\\\\'.repeat(2_500_000)}${'x'.repeat(5_000_000)}","cache_salt":"a"}`
    const started = performance.now()

    const out = set(text, { cache_salt: '"S"' })

    expect(out.endsWith('","cache_salt":"S"}')).toBe(true)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})

describe('RawObject and itemsOf', { timeout: RUNS_TIMEOUT_MS }, () => {
  it('finds the last of several members with one name, as parsers do', () => {
    const bytes = Buffer.from('{"messages":[1], "mess\\u0061ges" : [2, 3] }')

    const span = new RawObject(bytes).find('messages')

    expect(span === undefined ? undefined : bytes.toString('utf8', span.start, span.end)).toBe('[2, 3]')
    expect(new RawObject(bytes).find('input')).toBeUndefined()
  })

  it('finds nothing in a nested object', () => {
    expect(new RawObject(Buffer.from('{"a":{"messages":[1]}}')).find('messages')).toBeUndefined()
  })

  it('splits an array into slices that equal its items', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 6 }), space, space, (items, before, after) => {
        const bytes = Buffer.from(
          `{"x":"[", "messages"${before}:${after}[${items.map((i) => before + i + after).join(',')}${before}]}`,
        )

        const span = new RawObject(bytes).find('messages')
        const found = itemsOf(bytes, span?.start ?? 0).map(({ start, end }) => bytes.toString('utf8', start, end))

        expect(found).toEqual(items)
      }),
      runs(1000),
    )
  })

  it('recognizes an empty array, with or without white space', () => {
    expect(itemsOf(Buffer.from('[]'), 0)).toEqual([])
    expect(itemsOf(Buffer.from('[ \n]'), 0)).toEqual([])
  })
})
