import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { failingLibsql } from '../../../test/support/passages.ts'
import { TextIndex } from './text-index.ts'

let index: TextIndex
const onLost = vi.fn()

beforeEach(() => {
  onLost.mockReset()
  index = new TextIndex({ onLost })
})

afterEach(() => index.close())

const rows = (...texts: string[]) => texts.map((text, place) => ({ place, pieces: [{ text }] }))

it('finds the best text of each group, best first', async () => {
  await index.add('a', 1, 0, rows('The mill is by the river.', 'The ferry leaves at seven.', 'Bread and salt.'))
  await index.add('a', 2, 0, rows('A ferry.', 'Seven ferries, the ferry of seven.', 'Nothing else of note here.'))
  await index.add('a', 3, 0, rows('Nothing at all.'))

  const found = await index.rank('a', [1, 2, 3], '"ferry" OR "seven"', 10)

  expect(found.map(({ group, place, text }) => ({ group, place, text }))).toEqual([
    { group: 2, place: 1, text: 'Seven ferries, the ferry of seven.' },
    { group: 1, place: 1, text: 'The ferry leaves at seven.' },
  ])
  expect(found[0]?.score).toBeGreaterThan(found[1]?.score ?? 0)
})

it('ranks only the given groups, and as many as are wanted, equal ones in their order', async () => {
  for (const group of [1, 2, 3, 4]) await index.add('a', group, 0, rows('the ferry leaves'))

  expect((await index.rank('a', [3, 1, 4], '"ferry"', 2)).map(({ group }) => group)).toEqual([3, 1])
})

it('finds inflected English words, and words without their accents', async () => {
  await index.add('a', 1, 0, rows('The café renewed its policies.'))

  for (const word of ['renewal', 'policy', 'cafe', 'renewing']) {
    expect(await index.rank('a', [1], `"${word}"`, 1), word).toHaveLength(1)
  }
})

it('finds what is indexed instead of a text, and returns the text', async () => {
  await index.add('a', 1, 0, [{ place: 7, pieces: [{ text: '東京都', words: '東京 京都' }] }])

  expect(await index.best('a', 1, '"京都"')).toMatchObject({ place: 7, text: '東京都' })
})

it('finds a text by its best piece, and returns all of it', async () => {
  const pieces = [{ text: 'The mill. ' }, { text: 'The ferry leaves. ' }, { text: 'Bread.' }]
  await index.add('a', 1, 0, [
    { place: 0, pieces: [{ text: 'The ferry, ' }, { text: 'and it leaves.' }] },
    { place: 5, pieces },
  ])

  expect(await index.rank('a', [1], '"ferry" OR "leaves"', 1)).toMatchObject([
    { place: 5, text: 'The mill. The ferry leaves. Bread.' },
  ])
})

it('finds the best text of one group, whatever others hold', async () => {
  await index.add('a', 1, 0, rows('ferry ferry ferry'))
  await index.add('a', 2, 0, rows('The mill.', 'The ferry, at the quay, in the evening.'))

  expect(await index.best('a', 2, '"ferry"')).toMatchObject({ group: 2, place: 1 })
  expect(await index.best('a', 2, '"bread"')).toBeUndefined()
})

it('keeps spaces apart: neither texts nor scores of one depend on another', async () => {
  await index.add('a', 1, 0, rows('the ferry', 'the mill', 'the quay'))
  const before = await index.rank('a', [1], '"ferry"', 1)

  await index.add('b', 2, 0, rows(...Array.from({ length: 100 }, () => 'the ferry')))

  expect(await index.rank('a', [1, 2], '"ferry"', 10)).toEqual(before)
  expect(await index.best('a', 2, '"ferry"')).toBeUndefined()
})

it('drops a group in pieces, and its words with it', async () => {
  await index.add('a', 1, 0, rows('the ferry'))
  const alone = await index.rank('a', [1], '"ferry"', 1)
  await index.add('a', 2, 0, rows('a ferry', 'two ferries', 'three ferries'))
  await index.add('a', 2, 3, rows('four ferries'))

  expect(await index.drop('a', 2, 3)).toBe(true)
  expect(await index.drop('a', 2, 3)).toBe(false)

  expect(await index.rank('a', [1, 2], '"ferry"', 10)).toEqual(alone)
})

it('returns how much memory a group takes, and gives it back', async () => {
  const text = 'The ferry leaves the quay at seven, and the mill is closed until the evening. '.repeat(12)
  await index.add('a', 1, 0, rows('x'))

  const grown = await index.add('a', 2, 0, rows(...Array.from({ length: 200 }, (_, n) => `${n} ${text}`)))
  while (await index.drop('a', 2, 50));
  const grownAgain = await index.add('a', 3, 0, rows(...Array.from({ length: 200 }, (_, n) => `${n} ${text}`)))

  expect(grown).toBeGreaterThan(200 * text.length)
  expect(grownAgain).toBeGreaterThan(200 * text.length)
})

it('drops a space as a whole', async () => {
  await index.add('a', 1, 0, rows('the ferry'))

  await index.end('a')

  expect(await index.rank('a', [1], '"ferry"', 1)).toEqual([])
  expect(await index.drop('a', 1, 10)).toBe(false)
})

it('rejects what SQLite rejects, without its text, and goes on', async () => {
  await index.add('a', 1, 0, rows('the ferry'))

  await expect(index.rank('a', [1], '"ferry" AND (secret', 1)).rejects.toMatchObject({
    code: 'BUSY',
    message: expect.not.stringContaining('secret'),
  })

  expect(await index.rank('a', [1], '"ferry"', 1)).toHaveLength(1)
  expect(onLost).not.toHaveBeenCalled()
})

it('starts again empty after its thread has failed', async () => {
  const libsql = failingLibsql(1)
  const failing = new TextIndex({ onLost, libsql: libsql.path })
  try {
    await failing.add('a', 1, 0, rows('the ferry'))

    const lost = failing.add('a', 2, 0, rows('the end'))
    const behind = failing.rank('a', [1], '"ferry"', 1)

    await expect(lost).rejects.toMatchObject({ code: 'BUSY' })
    await expect(behind).rejects.toMatchObject({ code: 'BUSY' })
    expect(onLost).toHaveBeenCalledOnce()
    expect(await failing.rank('a', [1], '"ferry"', 1)).toEqual([])
    await failing.add('a', 1, 0, rows('the ferry'))
    expect(await failing.rank('a', [1], '"ferry"', 1)).toHaveLength(1)
  } finally {
    await failing.close()
    libsql.remove()
  }
})

it('finishes what was called before it is closed, and rejects what comes later', async () => {
  const added = index.add('a', 1, 0, rows('the ferry'))
  const found = index.rank('a', [1], '"ferry"', 1)

  await index.close()

  await added
  expect(await found).toHaveLength(1)
  await expect(index.rank('a', [1], '"ferry"', 1)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  expect(onLost).not.toHaveBeenCalled()
})
