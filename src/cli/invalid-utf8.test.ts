import { expect, it } from 'vitest'
import { invalidUtf8At } from './invalid-utf8.ts'

it.each([
  ['', undefined],
  ['plain', undefined],
  ['grün 窓 🪟', undefined],
])('finds nothing in %j', (text, wanted) => {
  expect(invalidUtf8At(Buffer.from(text))).toBe(wanted)
})

it.each([
  ['a byte that begins nothing', [0x61, 0x62, 0xff, 0x63], 2],
  ['Latin-1', [...Buffer.from('gr'), 0xfc, ...Buffer.from('n and much more text after it')], 2],
  ['a character that is cut at the end', [...Buffer.from('grü窓').subarray(0, -1)], 4],
  ['a character that is cut in the middle', [...Buffer.from('窓').subarray(0, 2), ...Buffer.from('窓窓窓')], 0],
  ['the first byte', [0x80], 0],
  ['UTF-16', [...Buffer.from('\ufeffhello', 'utf16le')], 0],
])('finds %s', (_, bytes, wanted) => {
  expect(invalidUtf8At(Uint8Array.from(bytes))).toBe(wanted)
})
