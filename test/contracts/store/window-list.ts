// The contract for the list of windows: filters, sort orders, and cursors that belong to one query.

import { beforeEach, describe, expect, it } from 'vitest'
import type { WindowRecord } from '../../../src/base/records.ts'
import type { Store } from '../../../src/store/store.ts'
import type { WindowQuery } from '../../../src/store/store-values.ts'
import { aWindow, fullReceipt, noon, readAll, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

type Filters = Omit<WindowQuery, 'limit' | 'cursor'>

const windows: readonly WindowRecord[] = [
  aWindow({ name: 'Anna', id: '1', createdAt: noon, tags: ['blue', 'red'], model: 'large', frozenAt: noon + 50 }),
  aWindow({ name: 'anna-2', id: '2', createdAt: noon + 1, tags: ['red'], state: 'frozen', frozenAt: noon + 20 }),
  aWindow({ name: 'b', id: '3', createdAt: noon + 2, pin: 'pinned', frozenAt: noon + 10, thawedAt: noon + 90 }),
  aWindow({ name: 'c_%', id: '4', createdAt: noon + 3, sessionId: 'other', receipt: { ...fullReceipt, tokens: 9 } }),
  aWindow({ name: 'd', id: '5', createdAt: noon + 4, parent: 'Anna', receipt: { ...fullReceipt, tokens: 10 } }),
]

const filters: readonly (readonly [Filters, string])[] = [
  [{}, 'd c_% b anna-2 Anna'],
  [{ tags: ['red'] }, 'anna-2 Anna'],
  [{ tags: ['red', 'blue'] }, 'Anna'],
  [{ tags: ['red', 'red'] }, 'anna-2 Anna'],
  [{ tags: ['green'] }, ''],
  [{ model: 'large' }, 'Anna'],
  [{ state: 'frozen' }, 'anna-2'],
  [{ pin: 'pinned' }, 'b'],
  [{ sessionId: 'other' }, 'c_%'],
  [{ parent: 'Anna' }, 'd'],
  [{ text: 'ANN' }, 'anna-2 Anna'],
  [{ text: '_%' }, 'c_%'],
  [{ text: '*' }, ''],
  [{ text: '[a-z]' }, ''],
  [{ text: '?\\' }, ''],
  [{ createdFrom: noon + 1, createdBefore: noon + 3 }, 'b anna-2'],
  [
    { tags: ['red'], text: 'anna', model: 'small', state: 'frozen', createdFrom: noon, createdBefore: noon + 9 },
    'anna-2',
  ],
  [{ order: 'asc' }, 'Anna anna-2 b c_% d'],
  [{ sort: 'created', order: 'desc' }, 'd c_% b anna-2 Anna'],
  [{ sort: 'name', order: 'asc' }, 'Anna anna-2 b c_% d'],
  [{ sort: 'name' }, 'd c_% b anna-2 Anna'],
  [{ sort: 'thawed' }, 'b Anna anna-2 d c_%'],
  [{ sort: 'thawed', order: 'asc' }, 'c_% d anna-2 Anna b'],
  [{ sort: 'tokens' }, 'd c_% b anna-2 Anna'],
  [{ sort: 'tokens', order: 'asc' }, 'Anna anna-2 b c_% d'],
  [{ sort: 'tokens', tags: ['red'] }, 'anna-2 Anna'],
]

export function describeWindowList(subject: Subject): void {
  describe('the list of windows', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    const names = async (query: Filters, limit = 10) =>
      (await readAll((page) => store.listWindows('acme', { ...query, ...page }), limit))
        .map(({ name }) => name)
        .join(' ')

    it.each(filters)('for %j returns %j, on one page or on many', async (query, expected) => {
      for (const window of windows) await store.reserveWindow(window, someContent())
      await store.reserveWindow(aWindow({ tenant: 'globex', name: 'theirs', tags: ['red'] }), someContent())

      expect(await names(query)).toBe(expected)
      expect(await names(query, 1)).toBe(expected)
      const { sort: _sort, order: _order, ...conditions } = query
      const count = expected.split(' ').filter((name) => name !== '').length
      expect(await store.countWindows('acme', conditions, 10)).toBe(count)
      expect(await store.countWindows('acme', conditions, 1)).toBe(Math.min(count, 1))
    })

    it('finds a window where a change has moved it', async () => {
      await store.reserveWindow(aWindow({ tags: ['old'] }), someContent())
      await store.reserveWindow(aWindow({ name: 'b', id: 'b', createdAt: noon + 1 }), someContent())

      await store.changeWindow('acme', 'draft', 'window-1', {
        state: 'frozen',
        pin: 'released',
        tags: ['new', 'other'],
        thawedAt: noon + 100,
        receipt: fullReceipt,
      })

      expect(await names({ tags: ['old'] })).toBe('')
      expect(await names({ tags: ['new'], state: 'frozen', pin: 'released' })).toBe('draft')
      expect(await names({ sort: 'thawed' })).toBe('draft b')
      expect(await names({ sort: 'tokens' })).toBe('draft b')
      expect(await names({ state: 'freezing' })).toBe('b')
    })

    it('drops the entries of a failed window that is replaced', async () => {
      await store.reserveWindow(aWindow({ state: 'failed', tags: ['old'], model: 'large' }), someContent())
      await store.reserveWindow(aWindow({ id: 'window-2', tags: ['new'] }), someContent())

      expect(await names({ tags: ['old'] })).toBe('')
      expect(await names({ model: 'large' })).toBe('')
      expect(await names({ tags: ['new'], model: 'small' })).toBe('draft')
    })

    it('rejects the cursor of another filter, sort or order, and accepts it with another limit', async () => {
      for (const window of windows) await store.reserveWindow(window, someContent())
      const { nextCursor: cursor = '' } = await store.listWindows('acme', { limit: 1, text: 'n', order: 'asc' })
      const fault = { code: 'INVALID_FIELD', param: 'cursor' }

      const others: readonly Filters[] = [
        { order: 'asc' },
        { text: 'b', order: 'asc' },
        { text: 'n' },
        { text: 'n', order: 'asc', sort: 'name' },
        { text: 'n', order: 'asc', tags: ['red'] },
      ]
      for (const other of others) {
        await expect(store.listWindows('acme', { limit: 2, ...other, cursor })).rejects.toMatchObject(fault)
      }
      const same = { limit: 5, text: 'n', order: 'asc', sort: 'created', cursor } as const
      await expect(store.listWindows('acme', same)).resolves.toMatchObject({ items: [windows[1]] })
    })
  })
}
