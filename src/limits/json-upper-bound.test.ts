import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isObject, type JsonValue } from '../base/json.ts'
import { maxBytesOfJson } from './json-upper-bound.ts'

/** The ways in which templates are known to write a value. */
const FORMS: Readonly<Record<string, (value: JsonValue) => string>> = {
  'as JSON with spaces': (value) => JSON.stringify(value, null, 1).replaceAll(/\n */g, ' '),
  'as JSON, indented': (value) => JSON.stringify(value, null, 4),
  'as ASCII, indented': (value) => toAscii(JSON.stringify(value, null, 4)),
  'as a string of JSON': (value) => JSON.stringify(JSON.stringify(value, null, 4)),
  'as a string of ASCII': (value) => JSON.stringify(toAscii(JSON.stringify(value, null, 4))),
  'as XML': toXml,
}

function toAscii(text: string): string {
  return text.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function toXml(value: JsonValue): string {
  if (!isObject(value)) return JSON.stringify(value)
  return Object.entries(value)
    .map(([key, member]) => `<${key}>\n${toXml(member ?? null)}\n</${key}>\n`)
    .join('')
}

describe.each(Object.entries(FORMS))('a value %s', (_, write) => {
  it('has at most as many bytes as counted', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'"\\\n\t\u0001') }),
    )
    const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 6 },
        text,
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.constantFrom(null, true, false),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(text, tie('value'), { maxKeys: 4 }),
      ),
    }))

    fc.assert(
      fc.property(value, (member) => {
        const given = { member }

        expect(Buffer.byteLength(write(given))).toBeLessThanOrEqual(maxBytesOfJson(given))
      }),
      { numRuns: 500 },
    )
  })
})

describe('values that Python writes differently from JavaScript', () => {
  it.each([
    ['a float', '1e15', '1000000000000000.0'],
    ['a long integer', '9'.repeat(300), '9'.repeat(300)],
    ['an integer that JavaScript reads as infinite', '9'.repeat(4_000), '9'.repeat(4_000)],
  ])('have at most as many bytes as counted: %s', (_, json, python) => {
    expect(maxBytesOfJson(JSON.parse(json))).toBeGreaterThanOrEqual(python.length)
    expect(maxBytesOfJson({ arguments: `{"n":${json}}` })).toBeGreaterThanOrEqual(`{"n": ${python}}`.length)
  })
})

describe('the arguments of a call', () => {
  const inTags = (args: Record<string, string>) =>
    Object.entries(args)
      .map(([key, value]) => `<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>\n`)
      .join('')

  it.each(['arguments', 'input'])('include the tags around each of them: %s', (field) => {
    const args = { a: '', b: '', c: 'd' }

    expect(maxBytesOfJson({ [field]: args })).toBeGreaterThan(inTags(args).length)
    expect(maxBytesOfJson({ [field]: JSON.stringify(args) })).toBeGreaterThan(inTags(args).length)
  })

  it('have no bound if they are nested deeper than an engine reads', () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`

    expect(maxBytesOfJson({ arguments: deep })).toBe(Number.POSITIVE_INFINITY)
  })
})
