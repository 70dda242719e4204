import { expect, it } from 'vitest'
import { aWindow } from '../../test/contracts/store/sample-records.ts'
import type { WindowQuery } from '../store/store-values.ts'
import { findWindows, MAX_ASKED_WINDOWS } from './which-windows.ts'

const present = new AbortController().signal

function storeWith(count: number, onPage = () => {}) {
  const names = Array.from({ length: count }, (_, n) => `w${n}`)
  return {
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
