// Libraries by REST: a text becomes windows that are found by their tag, and an edit costs what it touches.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LibraryDeletionJson, LibraryJson } from '../../src/wire/libraries.ts'
import { errorOf, jsonOf } from '../support/client.ts'
import { until } from '../support/deadline.ts'
import { addLibrary, book, putLibrary, settledLibrary, windowsOf, windowsTagged } from '../support/libraries.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { pinsHeld } from '../support/windows.ts'

let stack: Stack
beforeEach(async () => {
  stack = await startStack()
})
afterEach(() => stack.close())

const warmCalls = () => stack.sim.requests.all('engine').filter(({ path }) => path === '/v1/completions')
const allWindows = () => windowsTagged(stack.url, '')

describe('a library', () => {
  it('is a text in windows of at most so many tokens, each in a lineage of its own, that can be asked', async () => {
    const got = await putLibrary(stack.url, book(6))

    expect(got.status).toBe(202)
    expect(jsonOf<LibraryJson>(got)).toMatchObject({ name: 'book', tag: 'library:book', state: 'building', windows: 0 })
    const library = await settledLibrary(stack.url)
    expect(library).toMatchObject({
      state: 'ready',
      build: null,
      tokens_per_window: 512,
      model: 'sim-model',
      windows: 6,
    })
    expect(library.texts).toEqual([{ title: 'Book', windows: 6, tokens: library.tokens }])
    const windows = await windowsTagged(stack.url)
    expect(windows.map(({ name }) => name).sort()).toEqual(windowsOf(library).sort())
    for (const { state, receipt } of windows) {
      expect(state).toBe('frozen')
      expect(receipt?.tokens).toBeLessThanOrEqual(512)
    }
    stack.sim.script({ content: 'chapter one' })
    const answer = await rest<{ answer: string; receipt: { restored_tokens: number } }>(
      stack.url,
      'POST',
      `/windows/${windowsOf(library)[0]}/ask`,
      { question: 'Which chapter?' },
    )
    expect(answer.answer).toBe('chapter one')
    expect(answer.receipt.restored_tokens).toBeGreaterThanOrEqual(256)
  })

  it('holds the text word for word', async () => {
    const library = await addLibrary(stack.url, book(4))

    const texts: string[] = []
    for (const name of windowsOf(library)) {
      const { messages } = await rest<{ messages: readonly { content: string }[] }>(
        stack.url,
        'GET',
        `/windows/${name}/export`,
      )
      texts.push(messages[0]?.content.replace('From "Book":\n\n', '') ?? '')
    }
    expect(texts.join('')).toBe(book(4))
  })

  it('of the same texts again does nothing', async () => {
    const library = await addLibrary(stack.url, book(4))
    const sent = warmCalls().length

    const again = await putLibrary(stack.url, book(4))

    expect(again.status).toBe(200)
    expect(jsonOf<LibraryJson>(again)).toMatchObject({ state: 'ready', changed_at: library.changed_at })
    expect(warmCalls()).toHaveLength(sent)
    expect(await allWindows()).toHaveLength(library.windows)
  })

  it('with one more line has at most three new windows, and the old ones go', async () => {
    const before = await addLibrary(stack.url, book(8))

    const after = await addLibrary(stack.url, book(8).replace('# Chapter 3\n', '# Chapter 3\n\nThis line is new.\n'))

    const fresh = windowsOf(after).filter((name) => !windowsOf(before).includes(name))
    expect(fresh.length).toBeGreaterThan(0)
    expect(fresh.length).toBeLessThanOrEqual(3)
    await until('the old windows are gone', async () => (await allWindows()).length === after.windows)
    expect(await windowsTagged(stack.url)).toHaveLength(after.windows)
  })

  it('shows its new texts only when all of their windows are frozen, and tries failed ones again', async () => {
    const before = await addLibrary(stack.url, book(4))
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })

    await putLibrary(stack.url, book(5))

    const during = await rest<LibraryJson>(stack.url, 'GET', '/libraries/book')
    expect(during).toMatchObject({ state: 'building', windows: 4, build: { total: 5, failure: null } })
    expect((await windowsTagged(stack.url)).map(({ name }) => name).sort()).toEqual(windowsOf(before).sort())
    expect(await settledLibrary(stack.url)).toMatchObject({ state: 'ready', windows: 5 })
  })

  it('that is replaced while it is being built becomes the newer one', async () => {
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })
    await putLibrary(stack.url, book(5))

    const library = await addLibrary(stack.url, book(2))

    expect(library).toMatchObject({ state: 'ready', windows: 2 })
    await until('the other windows are gone', async () => (await allWindows()).length === 2)
  })

  it('keeps several texts apart, and has their windows under its tags', async () => {
    const texts = [
      { title: 'One', text: book(2) },
      { text: 'Short and plain.', format: 'plain' },
    ]

    const library = await addLibrary(stack.url, '', { texts, tags: ['law'] })

    expect(library.texts).toMatchObject([
      { title: 'One', windows: 2 },
      { title: null, windows: 1 },
    ])
    expect(await windowsTagged(stack.url, 'law')).toHaveLength(3)
  })

  it('whose window was deleted gets it back with the same texts', async () => {
    const library = await addLibrary(stack.url, book(3))
    await rest(stack.url, 'DELETE', `/windows/${windowsOf(library)[1]}`)

    const again = await addLibrary(stack.url, book(3))

    expect(windowsOf(again)).toEqual(windowsOf(library))
    expect(await windowsTagged(stack.url)).toHaveLength(3)
  })

  it('whose tag was taken from a window gets it back with the same texts', async () => {
    const library = await addLibrary(stack.url, book(3))
    await rest(stack.url, 'PATCH', `/windows/${windowsOf(library)[1]}`, { tags: [] })
    expect(await windowsTagged(stack.url)).toHaveLength(2)

    const again = await addLibrary(stack.url, book(3))

    expect(windowsOf(again)).toEqual(windowsOf(library))
    expect(await windowsTagged(stack.url)).toHaveLength(3)
  })

  it('is listed by name, without its parts', async () => {
    for (const name of ['b', 'a', 'c']) await addLibrary(stack.url, book(1), { name })

    const first = await rest<{ data: LibraryJson[]; next_cursor: string }>(stack.url, 'GET', '/libraries?limit=2')
    const path = `/libraries?limit=2&cursor=${first.next_cursor}`
    const second = await rest<{ data: LibraryJson[] }>(stack.url, 'GET', path)

    expect([...first.data, ...second.data].map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(first.data[0]?.parts).toBeUndefined()
  })
})

describe('the delete of a library', () => {
  it('takes all windows, pins, and chunks, with one receipt', async () => {
    const { windows } = await addLibrary(stack.url, book(5))

    const receipt = await rest<LibraryDeletionJson>(stack.url, 'DELETE', '/libraries/book')

    expect(receipt).toMatchObject({ name: 'book', windows, windows_left: 0, residual_chunks: 0, lineages_retired: 5 })
    expect(receipt.deleted_chunks).toBeGreaterThanOrEqual(windows)
    expect(await allWindows()).toEqual([])
    expect(await pinsHeld(stack.sim)).toBe(0)
    for (const method of ['GET', 'DELETE']) {
      expect(errorOf(await call(stack.url, method, '/libraries/book')).code).toBe('library_not_found')
    }
    expect((await addLibrary(stack.url, book(1))).state).toBe('ready')
  })

  it('ends its build', async () => {
    stack.sim.fault({
      path: '/v1/completions',
      times: Number.POSITIVE_INFINITY,
      action: { kind: 'status', status: 500 },
    })
    await putLibrary(stack.url, book(3))

    await rest<LibraryDeletionJson>(stack.url, 'DELETE', '/libraries/book')

    stack.sim.clearFaults()
    await until('no window is left', async () => (await allWindows()).length === 0)
  })
})

describe('a library that cannot be', () => {
  it.each([
    ['name', {}, 'a/b'],
    ['texts', { texts: [] }],
    ['texts.0.text', { texts: [{ text: ' \n' }] }],
    ['texts.0.title', { texts: [{ text: 'x', title: 'a\nb' }] }],
    ['model', { model: 'nobody' }],
    ['tokens_per_window', { tokens_per_window: 10 }],
    ['tokens_per_window', { tokens_per_window: 10_000_000 }],
    ['tags', { tags: ['law', 'library:other'] }],
    ['tokens', { tokens: 3 }],
  ])('is rejected with the name of the field %s', async (param, body, name = 'book') => {
    const got = await putLibrary(stack.url, book(1), { name: encodeURIComponent(name), ...body })

    expect([got.status, errorOf(got).param]).toEqual([400, param])
    expect((await rest<{ data: object[] }>(stack.url, 'GET', '/libraries')).data).toEqual([])
  })
})

describe('tenants', () => {
  const [ann, bob] = ['ann', 'bob'].map((key) => ({ authorization: `Bearer sk-${key}-0123456` }))

  it('do not see the library of another, which answers as an absent one', async () => {
    await addLibrary(stack.url, book(2), { headers: ann ?? {} })

    for (const [method, path] of [
      ['GET', '/libraries/book'],
      ['DELETE', '/libraries/book'],
    ] as const) {
      const [other, absent] = [
        await call(stack.url, method, path, undefined, bob),
        await call(stack.url, method, path.replace('book', 'none'), undefined, bob),
      ]
      expect(other.status).toBe(404)
      expect(other.text.replaceAll('book', 'none')).toBe(absent.text)
    }
    expect((await rest<{ data: object[] }>(stack.url, 'GET', '/libraries', undefined, bob)).data).toEqual([])
    expect(await windowsTagged(stack.url, 'library:book', bob)).toEqual([])
  })

  it('that are erased have no library left, nor one that is being built', async () => {
    await addLibrary(stack.url, book(2), { headers: ann ?? {} })
    stack.sim.fault({ path: '/v1/completions', action: { kind: 'status', status: 500 } })
    await putLibrary(stack.url, book(4), { headers: ann ?? {}, name: 'other' })

    await rest(stack.url, 'DELETE', '/tenants/me', undefined, ann)

    expect((await rest<{ data: object[] }>(stack.url, 'GET', '/libraries', undefined, ann)).data).toEqual([])
    expect(await windowsTagged(stack.url, '', ann)).toEqual([])
  })
})
