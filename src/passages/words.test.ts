import { expect, it } from 'vitest'
import { indexedWords, searchFor } from './words.ts'

it('leaves text with spaces as it is', () => {
  expect(indexedWords('The tide, at 7 o’clock')).toBe('The tide, at 7 o’clock')
})

it('makes pairs of characters where there are no spaces', () => {
  expect(indexedWords('東京都へ行く。').trim()).toBe('東京 京都 都へ へ行 行く 。')
  expect(indexedWords('in 京 2024')).toBe('in  京  2024')
})

it('reads full-width letters and ligatures as ordinary ones', () => {
  expect(indexedWords('ＡＢＣ１２３ ﬁle')).toBe('ABC123 file')
})

it('searches for any word of a question that says something, each once', () => {
  expect(searchFor('Who keeps the keys? The KEYS of the mill!')).toBe('"keeps" OR "keys" OR "mill"')
})

it('searches for all words if none says anything', () => {
  expect(searchFor('Who is it?')).toBe('"who" OR "is" OR "it"')
})

it('takes operators and columns of FTS5 for words', () => {
  expect(searchFor('NOT OR')).toBe('"not" OR "or"')
  expect(searchFor('words: NEAR("a" b) AND -c* OR ^d')).toBe('"words" OR "near" OR "b" OR "c" OR "d"')
})

it('searches for nothing if there are no words', () => {
  expect(searchFor(' ?! "" * ')).toBeUndefined()
})

it('takes the beginning and the end of a long question', () => {
  const words = Array.from({ length: 1_000 }, (_, n) => `w${n}`)

  const search = searchFor(words.join(' '))?.split(' OR ')

  expect(search).toHaveLength(128)
  expect([search?.[0], search?.[63], search?.[64], search?.[127]]).toEqual(['"w0"', '"w63"', '"w936"', '"w999"'])
})
