// Bodies are parsed as strictly as an engine does, and within limits on their cost. Error messages never contain the client's input.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CwmError } from './errors.ts'
import type { Requester } from './fair-turns.ts'
import { type JsonObject, MAX_DEPTH } from './json.ts'
import { type BodyBounds, JsonBodies, LARGE_BYTES, parseStrictly, requireObject } from './json-bodies.ts'
import { scanJson } from './json-scan.ts'

function failure(run: () => unknown): { code: string; message: string } {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof CwmError) return { code: thrown.code, message: thrown.message }
    throw thrown
  }
  throw new Error('nothing was thrown')
}

/** An object of `levels` levels, itself included. */
function nested(levels: number): string {
  return `${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`
}

function parseBody(bytes: Buffer): JsonObject {
  return requireObject(parseStrictly(bytes))
}

describe('parseStrictly', () => {
  it('accepts one JSON object with white space around it', () => {
    expect(parseBody(Buffer.from(' \n{"a":"ä😀"}\t '))).toEqual({ a: 'ä😀' })
  })

  it.each([
    ['a lone continuation byte', [0x7b, 0x22, 0x80, 0x22, 0x7d]],
    ['an overlong slash', [0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d]],
    ['a surrogate in UTF-8', [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d]],
    ['a character cut short', [0x7b, 0x22, 0xe2, 0x82, 0x22, 0x7d]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('rejects %s as invalid UTF-8', (_, bytes) => {
    expect(failure(() => parseBody(Buffer.from(bytes))).code).toBe('INVALID_UTF8')
  })

  it('rejects a byte order mark, which only some parsers skip', () => {
    expect(failure(() => parseBody(Buffer.from('\ufeff{}'))).code).toBe('INVALID_JSON')
  })

  it.each(['', ' ', '{', '{"a":1', '{"a":"x', '{}{}', '{"a":NaN}', "{'a':1}", '{"a":1,}', '{"a":01}', '{"a":"\n"}'])(
    'rejects %j as invalid JSON',
    (text) => {
      expect(failure(() => parseBody(Buffer.from(text))).code).toBe('INVALID_JSON')
    },
  )

  it.each(['[]', '"x"', '1', 'true', 'null', '[{"model":"m"}]'])('rejects %s, which is not an object', (text) => {
    expect(failure(() => parseBody(Buffer.from(text)))).toEqual({
      code: 'INVALID_JSON',
      message: 'the request body must be a JSON object',
    })
  })

  it('rejects every truncated body', () => {
    const whole = '{"messages":[{"role":"user","content":"a\\u00e9\\n"}],"n":1.5e3,"stream":true,"x":null}'
    for (let end = 0; end < whole.length; end++) {
      expect(failure(() => parseBody(Buffer.from(whole.slice(0, end)))).code).toBe('INVALID_JSON')
    }
  })

  it('accepts nesting up to the limit and rejects one level more, in objects and in lists', () => {
    expect(parseBody(Buffer.from(nested(MAX_DEPTH)))).toHaveProperty('a')
    expect(failure(() => parseBody(Buffer.from(nested(MAX_DEPTH + 1)))).code).toBe('BODY_TOO_DEEP')
    const lists = (levels: number) => Buffer.from(`{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`)
    expect(parseBody(lists(MAX_DEPTH))).toHaveProperty('a')
    expect(failure(() => parseBody(lists(MAX_DEPTH + 1))).code).toBe('BODY_TOO_DEEP')
  })

  it('rejects a million nested brackets quickly and without a crash', () => {
    const started = performance.now()
    const many = 1_000_000

    expect(failure(() => parseBody(Buffer.from(`{"a":${'['.repeat(many)}${']'.repeat(many)}}`))).code).toBe(
      'BODY_TOO_DEEP',
    )
    expect(failure(() => parseBody(Buffer.from('{"a":'.repeat(many)))).code).toBe('INVALID_JSON')
    expect(failure(() => parseBody(Buffer.from('['.repeat(many)))).code).toBe('INVALID_JSON')
    expect(performance.now() - started).toBeLessThan(15_000)
  })

  it('treats a member named __proto__ as a member, and none of its content as a field', () => {
    const body = parseBody(Buffer.from('{"__proto__":{"priority":1}}'))

    expect(body.priority).toBeUndefined()
    expect(Object.keys(body)).toEqual(['__proto__'])
  })

  it('reports the position of an error, as a number only', () => {
    expect(failure(() => parseBody(Buffer.from('{"a":"my secret","b":1,}'))).message).toBe(
      'the request body is not valid JSON: something is wrong at character 23',
    )
    expect(failure(() => parseBody(Buffer.from(''))).message).toBe(
      'the request body is not valid JSON: it ends too early',
    )
  })

  // V8 quotes short input whole, so prompt text that looked like an error message was mistaken for one.
  it("does not confuse the prompt's text with the parser's message", () => {
    expect(failure(() => parseBody(Buffer.from('at position 4711'))).message).toBe('the request body is not valid JSON')
    expect(failure(() => parseBody(Buffer.from('x Unexpected end'))).message).toBe('the request body is not valid JSON')
  })

  it('never quotes the input in an error', () => {
    const secret = fc.string({ unit: fc.constantFrom('q', 'z', '7', '{', '"', ' ', ':', '\\', 'at position 9') })
    fc.assert(
      fc.property(secret, fc.nat(40), (noise, cut) => {
        const text = `{"messages":"zqzq7","b":${noise}}`.slice(0, 24 + cut)
        let message = ''
        try {
          parseBody(Buffer.from(text))
        } catch (thrown) {
          message = thrown instanceof CwmError ? thrown.message : 'another error'
        }
        expect(message).toMatch(
          /^(|the request body (is not valid JSON(|: it ends too early|: something is wrong at character \d+)|must be a JSON object))$/,
        )
      }),
      { numRuns: 500, seed: 1 },
    )
  })
})

const requester: Requester = { sharer: 't', scope: { isGone: false, onClose: () => {} } }
const BOUNDS: BodyBounds = { maxValues: 100_000, maxMembers: 20_000, maxMessages: 10_000 }

/** The result for a body with limits: parsed at once, parsed later, or the error message. */
async function outcome(text: string, bounds: Partial<BodyBounds> = {}): Promise<string> {
  try {
    const parsed = new JsonBodies({ ...BOUNDS, ...bounds }).parse(Buffer.from(text), requester)
    if (!(parsed instanceof Promise)) return 'at once'
    await parsed
    return 'later'
  } catch (thrown) {
    return thrown instanceof CwmError ? `${thrown.bound}: ${thrown.message}` : 'another error'
  }
}

const members = (many: number) => Array.from({ length: many }, (_, i) => `"k${i}":0`).join(',')

describe('JsonBodies', () => {
  it("accepts as many objects, lists and strings as allowed, and rejects one more with the setting's name", async () => {
    const lists = (many: number) => `{"x":[${Array.from({ length: many }, () => '[]').join(',')}]}`

    // The object, its key and its list are three values.
    expect(await outcome(lists(99_997))).toBe('at once')
    expect(await outcome(lists(99_998))).toBe(
      'body_values: the request body holds more than 100000 objects, lists and strings, keys included (setting max_body_values)',
    )
    expect(await outcome(`{"x":[${Array.from({ length: 4_000_000 }, () => '{}').join(',')}]}`)).toMatch(/^body_values/)
    expect(await outcome(`{"x":[${'"",'.repeat(100_000)}""]}`)).toMatch(/^body_values/)
  })

  it("accepts as many members of one object as allowed, and rejects one more with the setting's name", async () => {
    expect(await outcome(`{${members(20_000)}}`)).toBe('at once')
    expect(await outcome(`{${members(20_001)}}`)).toBe(
      'object_members: an object in the request body has more than 20000 members (setting max_object_members)',
    )
    expect(await outcome(`{"a":{${members(19_000)}},"b":[{${members(19_000)}}]}`)).toBe('later')
    expect(await outcome(`{${'"cache_salt":"",'.repeat(500_000)}"a":1}`)).toMatch(/^object_members/)
  })

  it('accepts a prompt of a million token ids', async () => {
    expect(await outcome(`{"prompt":[${'128000,'.repeat(1_000_000)}1]}`)).toBe('later')
  })

  it("accepts fifteen times as many numbers as values, and rejects one more with the setting's name", async () => {
    const scalars = (many: number) =>
      `{"x": [ ${Array.from({ length: many }, (_, i) => ['12', '-1.5e3', 'true', 'null'][i % 4]).join(' , ')} ] }`

    expect(await outcome(scalars(1_500_000))).toBe('later')
    expect(await outcome(scalars(1_500_001))).toBe(
      'body_values: the request body holds more than 1500000 numbers (15 times setting max_body_values)',
    )
    expect(await outcome(`{"x":[${'1,'.repeat(8_000_000)}1]}`)).toMatch(/^body_values/)
    expect(await outcome(`{"x":"${','.repeat(3_100_000)}"}`)).toBe('later')
  })

  it('counts nothing inside a string', async () => {
    const words = JSON.stringify('["{\\'.repeat(200_000))

    expect(await outcome(`{"a":${words}}`, { maxValues: 3, maxMembers: 3 })).toBe('later')
  })

  it('does not count bodies too short to exceed a limit', async () => {
    expect(await outcome(JSON.stringify({ messages: [{ role: 'user', content: 'x'.repeat(4096) }] }))).toBe('at once')
    expect(await outcome(JSON.stringify({ messages: [{ role: 'user', content: 'x'.repeat(512 * 1024) }] }))).toBe(
      'at once',
    )
  })

  it('counts like a parser, for any JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 4 }), fc.nat(40), fc.nat(6), async (text, maxValues, maxMembers) => {
        const padded = `{"padding":"${' '.repeat(300)}","value":${text}}`
        const { values, widest } = sizeOf(JSON.parse(padded))
        const got = await outcome(padded, { maxValues: maxValues + 1, maxMembers: maxMembers + 1 })

        const over = values > maxValues + 1 || widest > maxMembers + 1
        expect(/^(body_values|object_members)/.test(got)).toBe(over)
      }),
      { numRuns: 300, seed: 4 },
    )
  })

  it('counts numbers, true, false and null like a parser, for any JSON', async () => {
    const others = { maxValues: 1e9, maxMembers: 1e9, maxDepth: MAX_DEPTH }
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 4 }), async (text) => {
        const { scalars } = sizeOf(JSON.parse(text))
        const spaced = Buffer.from(JSON.stringify(JSON.parse(text), undefined, 1))

        expect(await scanJson(Buffer.from(text), { ...others, maxScalars: scalars })).toBeUndefined()
        expect(await scanJson(spaced, { ...others, maxScalars: scalars - 1 })).toBe(scalars > 0 ? 'scalars' : undefined)
      }),
      { numRuns: 300, seed: 4 },
    )
  })

  it('rejects a body that is both too deep and over another limit, without parsing it', async () => {
    expect(await outcome(`{"a":${'['.repeat(300_000)}`)).toBe(
      'depth: the request body is nested deeper than 512 levels',
    )
  })

  it('parses large bodies one after the other, tenants in turn, and lets others run in between', async () => {
    const bodies = new JsonBodies(BOUNDS)
    const large = Buffer.from(`{"a":"${'x'.repeat(LARGE_BYTES)}"}`)
    const done: string[] = []
    const read = async (tenant: string) => {
      await bodies.parse(large, { ...requester, sharer: tenant })
      done.push(tenant)
    }

    await Promise.all([read('a'), read('a'), read('a'), read('b')])

    expect(done).toEqual(['a', 'a', 'b', 'a'])
  })

  it('names the list of messages that is too long', () => {
    const check = (body: JsonObject) =>
      new JsonBodies({ ...BOUNDS, maxMessages: 2 }).checkMessages(body, ['messages', 'input'])

    expect(failure(() => check({ messages: [1, 2, 3] }))).toEqual({
      code: 'BODY_TOO_COMPLEX',
      message: '`messages` has 3 items; at most 2 are allowed (setting max_messages)',
    })
    expect(failure(() => check({ input: [1, 2, 3] })).code).toBe('BODY_TOO_COMPLEX')
    expect(() => check({ messages: [1, 2], prompt: [1, 2, 3], input: 'abc' })).not.toThrow()
  })
})

/** The same count on the parsed value. */
function sizeOf(value: unknown): { values: number; scalars: number; widest: number } {
  if (typeof value === 'string') return { values: 1, scalars: 0, widest: 0 }
  if (typeof value !== 'object' || value === null) return { values: 0, scalars: 1, widest: 0 }
  const inner = Object.values(value).map(sizeOf)
  const keys = Array.isArray(value) ? 0 : inner.length
  return {
    values: 1 + keys + inner.reduce((sum, { values }) => sum + values, 0),
    scalars: inner.reduce((sum, { scalars }) => sum + scalars, 0),
    widest: Math.max(keys, ...inner.map(({ widest }) => widest)),
  }
}
