import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { textOf } from './utf8.ts'

describe('textOf', () => {
  it('equals toString for any text of any length', () => {
    const text = fc.string({ unit: 'binary', maxLength: 2_000 })
    fc.assert(
      fc.property(text, fc.nat(300), (some, ascii) => {
        const bytes = Buffer.from(some + 'a'.repeat(ascii))
        expect(textOf(bytes)).toBe(bytes.toString('utf8'))
      }),
    )
  })

  it('keeps a byte order mark, four-byte characters and NUL bytes', () => {
    const text = `\ufeff${'\u{1f980}é\0'.repeat(200)}`
    expect(textOf(Buffer.from(text))).toBe(text)
  })
})
