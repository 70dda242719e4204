// Valid JSON that no SDK would write: arbitrary white space, escapes in keys and strings, duplicate keys, numbers beyond double
// precision. It is generated as text, so that a test knows every byte.

import fc from 'fast-check'

/** One member of an object as text. */
export interface Spelt {
  readonly key: string
  readonly keyText: string
  readonly valueText: string
}

/** An object as text: its members, and the white space before, inside, and after it. */
export interface SpeltObject {
  readonly members: readonly Spelt[]
  readonly gaps: readonly string[]
}

export const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 3 })

/** A string literal with some of its characters escaped as \uXXXX, as `"cache\u005fsalt"` is. A lone surrogate always is. */
export function literal(text: string, escapes: readonly boolean[]): string {
  const units = [...Array(text.length).keys()].map((i) => {
    const code = text.charCodeAt(i)
    const lone = code >= 0xd800 && code <= 0xdfff
    if (escapes[i % Math.max(1, escapes.length)] === true || lone) return `\\u${code.toString(16).padStart(4, '0')}`
    return JSON.stringify(text[i]).slice(1, -1)
  })
  return `"${units.join('')}"`
}

export const spelling = fc.array(fc.boolean(), { minLength: 1, maxLength: 5 })
export const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.constantFrom('\\', '"', '\\"', '{', '}]', ',:'),
)
export const spelt = fc.tuple(anyText, spelling).map(([text, escapes]) => literal(text, escapes))
const oddNumber = fc.constantFrom('1e400', '1.0', '-0', '12345678901234567890', '1E-7', '0.10')
const scalar = fc.oneof(spelt, oddNumber, fc.constantFrom('true', 'false', 'null'))

/** The text of any value. Nested objects may contain members with the names under test. */
export const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc
      .tuple(fc.array(fc.tuple(tie('value'), space), { maxLength: 3 }), space)
      .map(([items, gap]) => `[${gap}${items.map(([item, after]) => item + after).join(`,${gap}`)}]`),
    fc
      .tuple(
        fc.array(fc.tuple(fc.oneof(spelt, fc.constant('"cache_salt"')), tie('value'), space), { maxLength: 3 }),
        space,
      )
      .map(([members, gap]) => `{${gap}${members.map(([k, v, s]) => `${k}${s}:${gap}${v}${s}`).join(`,${gap}`)}}`),
  ),
}))

/** A member with the given name, its key escaped in any way. */
export function memberOf(key: string, valueText: fc.Arbitrary<string>): fc.Arbitrary<Spelt> {
  return fc
    .tuple(spelling, valueText)
    .map(([escapes, text]) => ({ key, keyText: literal(key, escapes), valueText: text }))
}

export const gaps = fc.array(space, { minLength: 5, maxLength: 5 })

export function textOf({ members, gaps: [a = '', b = '', c = '', d = '', e = ''] }: SpeltObject): string {
  const inner = members.map(({ keyText, valueText }) => `${b}${keyText}${c}:${d}${valueText}${e}`).join(',')
  return `${a}{${inner}${c}}${d}`
}
