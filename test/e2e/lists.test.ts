// Lists of windows: filters, order, pages; and changes to a window's labels.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WindowJson } from '../../src/wire/windows.ts'
import { errorOf } from '../support/client.ts'
import { askChat, user } from '../support/conversation.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

interface Listed {
  readonly data: readonly (WindowJson & { tags: string[]; note?: string; created_at: string })[]
  readonly next_cursor?: string
  readonly previous_cursor?: string
  readonly first?: number
  readonly total?: number
}

const list = (query: string) => rest<Listed>(stack.url, 'GET', `/windows?${query}`)
const names = async (query: string) => (await list(query)).data.map(({ name }) => name)

beforeAll(async () => {
  stack = await startStack({ sim: { adapters: [{ name: 'tuned', path: './adapters/tuned' }] } })
  const make = (name: string, content: object) =>
    rest(stack.url, 'PUT', `/windows/${name}`, { model: 'sim-model', ...content })
  await make('Alpha', { document: 'one word and another and a third', tags: ['red', 'big'] })
  await make('beta', { document: 'one', tags: ['red'] })
  await make('gamma', { document: 'one word', model: 'tuned' })
  await rest(stack.url, 'POST', '/windows/beta/clone', { name: 'beta-2', tags: ['blue'] })
  await rest(stack.url, 'POST', '/windows/gamma/thaw', { session_id: 'ann' })
})
afterAll(() => stack.close())

describe('a list', () => {
  it.each([
    ['', ['beta-2', 'gamma', 'beta', 'Alpha']],
    ['order=asc', ['Alpha', 'beta', 'gamma', 'beta-2']],
    ['tag=red', ['beta', 'Alpha']],
    ['tag=red&tag=big', ['Alpha']],
    ['tag=none', []],
    ['model=tuned', ['gamma']],
    ['state=frozen', ['beta-2', 'gamma', 'beta', 'Alpha']],
    ['state=failed', []],
    ['parent=beta', ['beta-2']],
    ['search=BETA', ['beta-2', 'beta']],
    ['search=%25', []],
    ['created_before=2020-01-01T00:00:00Z', []],
    ['created_from=2020-01-01T00:00:00%2B02:00', ['beta-2', 'gamma', 'beta', 'Alpha']],
    ['sort=name&order=asc', ['Alpha', 'beta', 'beta-2', 'gamma']],
    ['sort=thawed&limit=1', ['gamma']],
    ['sort=tokens&limit=1', ['Alpha']],
    ['pin=none&search=beta', ['beta-2', 'beta']],
    ['pin=released', []],
  ])('%s: %j', async (query, expected) => {
    expect(await names(query)).toEqual(expected)
  })

  it.each(['created', 'name', 'thawed', 'tokens'])('sorted by %s comes in pages, each window once', async (sort) => {
    const seen: string[] = []
    let cursor = ''
    do {
      const page = await list(`sort=${sort}&limit=1${cursor}`)
      seen.push(...page.data.map(({ name }) => name))
      cursor = page.next_cursor === undefined ? '' : `&cursor=${encodeURIComponent(page.next_cursor)}`
    } while (cursor !== '')

    expect(seen).toEqual(await names(`sort=${sort}`))
  })

  it('counts if asked, and leads back to the page before', async () => {
    const first = await list('sort=name&order=asc&limit=3&count=true')
    const second = await list(`sort=name&order=asc&limit=3&count=true&cursor=${first.next_cursor}`)
    const back = await list(`sort=name&order=asc&limit=3&count=true&cursor=${second.previous_cursor}`)

    expect(first).toMatchObject({ first: 1, total: 4, total_is_minimum: false })
    expect(first).not.toHaveProperty('previous_cursor')
    expect(second).toMatchObject({ first: 4, total: 4, data: [{ name: 'gamma' }] })
    expect(back).toEqual(first)
    expect(await list('search=beta&count=true')).toMatchObject({ first: 1, total: 2 })
    expect(await list('search=nothing&count=true')).toMatchObject({ first: 0, total: 0, data: [] })
    expect(await list('search=beta')).not.toHaveProperty('total')
  })

  it('can be filtered by date', async () => {
    const at = (await list('search=gamma')).data[0]?.created_at ?? ''

    const [before, from] = [await names(`created_before=${at}`), await names(`created_from=${at}`)]

    expect([...from, ...before]).toEqual(['beta-2', 'gamma', 'beta', 'Alpha'])
    expect(from).toContain('gamma')
  })

  it.each(['cursor=nonsense', 'limit=0', 'limit=1001', 'sort=size', 'state=pending', 'created_from=yesterday'])(
    'refuses %s',
    async (query) => {
      const got = await call(stack.url, 'GET', `/windows?${query}`)

      expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
    },
  )

  it('rejects a cursor of another query', async () => {
    const { next_cursor } = await list('sort=name&limit=1')

    const got = await call(
      stack.url,
      'GET',
      `/windows?sort=tokens&limit=1&cursor=${encodeURIComponent(String(next_cursor))}`,
    )

    expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
  })
})

describe('the list of sessions', () => {
  interface Sessions {
    readonly data: readonly { readonly id: string }[]
    readonly total?: number
  }
  const listed = async (query: string) => {
    const { data, total } = await rest<Sessions>(stack.url, 'GET', `/sessions?count=true&${query}`)
    return [data.map(({ id }) => id).join(' '), total]
  }

  beforeAll(async () => {
    for (const [id, text] of [
      ['bob', 'hello'],
      ['carl', `${'a much longer prompt '.repeat(20)}`],
    ] as const) {
      await askChat(stack.url, [user(text)], { headers: { 'x-cwm-session': id } })
    }
  })

  it.each([
    ['', 'carl bob ann', 3],
    ['search=CAR', 'carl', 1],
    ['search=gamma', 'ann', 1],
    ['state=thawed', 'ann', 1],
    ['base_window=gamma', 'ann', 1],
    ['model=sim-model', 'carl bob', 2],
    ['sort=id&order=asc&limit=2', 'ann bob', 3],
    ['sort=tokens&limit=1', 'carl', 3],
  ])('%s: %j, %d in all', async (query, expected, total) => {
    expect(await listed(query)).toEqual([expected, total])
  })

  it.each(['state=open', 'sort=name', 'order=up', 'count=yes', 'cursor=x'])('refuses %s', async (query) => {
    const got = await call(stack.url, 'GET', `/sessions?${query}`)

    expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
  })
})

describe('the labels of a window', () => {
  const change = (body: object) => rest<Listed['data'][number]>(stack.url, 'PATCH', '/windows/beta-2', body)

  it('change one at a time; an empty note removes it', async () => {
    expect(await change({ tags: ['z', 'a', 'z'] })).toMatchObject({ tags: ['a', 'z'] })
    expect(await change({ note: 'for Monday' })).toMatchObject({ tags: ['a', 'z'], note: 'for Monday' })
    expect(await change({ note: '' })).not.toHaveProperty('note')
    expect(await names('tag=z')).toEqual(['beta-2'])
    expect(await names('tag=blue')).toEqual([])
  })

  it.each([{ tags: ['two words'] }, { tags: 'a' }, { note: 'x'.repeat(4097) }, { name: 'other' }, { pinned: 'no' }])(
    'refuses %j',
    async (body) => {
      const got = await call(stack.url, 'PATCH', '/windows/beta-2', body)

      expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
    },
  )

  it('of an unknown window are 404', async () => {
    const got = await call(stack.url, 'PATCH', '/windows/nothing', { note: 'x' })

    expect([got.status, errorOf(got).code]).toEqual([404, 'window_not_found'])
  })
})
