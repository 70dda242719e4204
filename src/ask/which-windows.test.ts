import { expect, it } from 'vitest'
import { aWindow } from '../../test/contracts/store/sample-records.ts'
import type { LibraryManifest, LibraryRecord } from '../base/library-records.ts'
import type { WindowQuery } from '../store/store-values.ts'
import { findWindows, MAX_ASKED_WINDOWS } from './which-windows.ts'

const present = new AbortController().signal

function storeWith(count: number, onPage = () => {}, library?: LibraryRecord) {
  const names = Array.from({ length: count }, (_, n) => `w${n}`)
  return {
    getLibrary: async () => library,
    getWindow: async (_: string, name: string) => (names.includes(name) ? aWindow({ name }) : undefined),
    listWindows: async (_: string, { limit, cursor = '0' }: WindowQuery) => {
      onPage()
      const at = Number(cursor)
      const items = names.slice(at, at + limit).map((name) => aWindow({ name }))
      return { items, ...(at + limit < count ? { nextCursor: String(at + limit) } : {}) }
    },
  }
}

it('finds all pages of a tag, up to a bound', async () => {
  expect(await findWindows(storeWith(MAX_ASKED_WINDOWS), 'acme', { tag: 'law' }, present)).toHaveLength(
    MAX_ASKED_WINDOWS,
  )
  await expect(findWindows(storeWith(MAX_ASKED_WINDOWS + 1), 'acme', { tag: 'law' }, present)).rejects.toMatchObject({
    code: 'INVALID_FIELD',
    param: 'windows',
  })
})

it('stops once the client has left', async () => {
  const client = new AbortController()
  let pages = 0
  const store = storeWith(1_000, () => {
    pages++
    client.abort()
  })

  await expect(findWindows(store, 'acme', { tag: 'law' }, client.signal)).rejects.toMatchObject({ code: 'CLIENT_GONE' })
  await expect(findWindows(store, 'acme', { names: ['w1'] }, client.signal)).rejects.toMatchObject({
    code: 'CLIENT_GONE',
  })
  expect(pages).toBe(1)
})

const manifestOf = (...windows: string[]): LibraryManifest => ({
  ...{ model: 'm', tokensPerWindow: 100, titles: [''], tags: [] },
  parts: windows.map((window) => ({ window, tokens: 9, text: 0 })),
})
const law = { tenant: 'acme', name: 'law', revision: 3, createdAt: 1, changedAt: 2, stale: [] }
const build = (...windows: string[]) => ({ id: 'b', manifest: manifestOf(...windows), actor: 'ci', startedAt: 1 })

// All of w0 to w3 have the tag; w3 is a window that somebody tagged themselves.
it.each<[string, Partial<LibraryRecord>, readonly string[]]>([
  ['is replaced: the old windows', { manifest: manifestOf('w0', 'w1'), build: build('w1', 'w2') }, ['w0', 'w1', 'w3']],
  ['was replaced: the new windows', { manifest: manifestOf('w1', 'w2'), stale: ['w0'] }, ['w1', 'w2', 'w3']],
  ['is built for the first time: none', { build: build('w0', 'w1', 'w2') }, ['w3']],
  ['is being deleted: none', { stale: ['w0', 'w1', 'w2'], deleted: true }, ['w3']],
])('finds by the tag of a library that %s', async (_, record, names) => {
  const store = storeWith(4, undefined, { ...law, ...record })

  const found = await findWindows(store, 'acme', { tag: 'library:law' }, present)

  expect(found.map(({ name }) => name)).toEqual(names)
})

it('finds the new windows if the library is replaced while its old ones are listed', async () => {
  const replaced = { ...law, revision: 4, manifest: manifestOf('w1', 'w2'), stale: ['w0'] }
  let record: LibraryRecord = { ...law, manifest: manifestOf('w0', 'w1'), build: build('w1', 'w2') }
  const store = storeWith(3, () => {
    record = replaced
  })

  const found = await findWindows({ ...store, getLibrary: async () => record }, 'acme', { tag: 'library:law' }, present)

  expect(found.map(({ name }) => name)).toEqual(['w1', 'w2'])
})
