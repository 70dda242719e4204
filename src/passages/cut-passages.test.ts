import { expect, it } from 'vitest'
import { cutPassages, MAX_PIECES, piecesOf } from './cut-passages.ts'

const cut = (text: string) => [...cutPassages(text)]
const sentence = (n: number) => `Sentence number ${n} is about the tide, the lantern and the ferry. `
const sentences = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => sentence(from + i))
    .join('')
    .trim()

it('leaves a short text whole, without white space around it', () => {
  expect(cut('\n  A short one.\n')).toEqual(['A short one.'])
})

it('finds nothing in a text without words', () => {
  expect(cut(' \n\t ')).toEqual([])
})

it('cuts at the end of a paragraph, if there is one in the second half', () => {
  const first = sentences(0, 12)
  const second = sentences(12, 30)

  expect(cut(`${first}\n\n${second}`)[0]).toBe(first)
})

it('cuts at the end of a sentence otherwise', () => {
  const passages = cut(sentences(0, 60))

  expect(passages.length).toBeGreaterThan(2)
  for (const passage of passages) expect(passage).toMatch(/^Sentence .*\.$/)
  expect(passages.join(' ')).toBe(sentences(0, 60))
})

it('cuts at the end of a sentence in Chinese, which has no spaces', () => {
  const passages = cut('灯塔在北方的码头上，每天晚上都会点亮。'.repeat(200))

  expect(passages.length).toBeGreaterThan(2)
  for (const passage of passages) expect(passage).toMatch(/^灯.*。$/)
})

it('cuts at the end of a line where there are no sentences', () => {
  const passages = cut(Array.from({ length: 200 }, (_, n) => `key_${n}: value_${n}`).join('\n'))

  expect(passages.length).toBeGreaterThan(2)
  for (const passage of passages) expect(passage).toMatch(/^key_\d+: .*value_\d+$/s)
})

it('cuts between words where there are no lines, and within a word that is too long', () => {
  expect(cut('word '.repeat(1_000)).every((passage) => /^(word )+word$/.test(passage))).toBe(true)
  expect(cut('x'.repeat(3_000)).map(({ length }) => length)).toEqual([1_200, 1_200, 600])
})

it('does not cut a character in two', () => {
  const text = `a${'😀'.repeat(1_000)}`

  expect(cut(text).join('')).toBe(text)
  for (const passage of cut(text)) expect(passage.isWellFormed()).toBe(true)
})

it('divides a passage into a few sentences each, and loses nothing', () => {
  const [passage = ''] = cut(sentences(0, 60))

  const pieces = piecesOf(passage)

  expect(pieces.join('')).toBe(passage)
  for (const piece of pieces) expect(piece).toMatch(/^Sentence .*\.\s?$/)
  expect(pieces.length).toBeGreaterThan(3)
})

it('makes few pieces of any passage', () => {
  const texts = [
    sentences(0, 600),
    'x'.repeat(5_000),
    'word '.repeat(2_000),
    'a\n\n'.repeat(3_000),
    '東京。'.repeat(3_000),
  ]

  const most = Math.max(...texts.flatMap(cut).map((passage) => piecesOf(passage).length))

  expect(most).toBeLessThanOrEqual(MAX_PIECES)
})
