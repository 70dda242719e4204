// The contract for windows: names, changes, repair, and all kinds of content.

import { beforeEach, describe, expect, it } from 'vitest'
import type { WindowContent, WindowRecord } from '../../../src/base/records.ts'
import type { Store } from '../../../src/store/store.ts'
import { aWindow, fullWindow, noon, readAll, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describeWindows(subject: Subject): void {
  describe('windows', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('reserves a free name with record and content', async () => {
      expect(await store.reserveWindow(aWindow(), someContent())).toBe('stored')

      expect(await store.getWindow('acme', 'draft')).toEqual(aWindow())
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
    })

    it('lets one of many callers on two handles win a name', async () => {
      const other = await subject().reopen()

      const won = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? store : other).reserveWindow(aWindow({ id: `window-${n}` }), someContent(`text-${n}`)),
        ),
      )

      const winner = `window-${won.indexOf('stored')}`
      expect(won.filter((outcome) => outcome === 'stored')).toHaveLength(1)
      expect((await other.getWindow('acme', 'draft'))?.id).toBe(winner)
      expect(await store.getWindowContent('acme', 'draft', winner)).toEqual(
        someContent(`text-${won.indexOf('stored')}`),
      )
    })

    const taken: readonly Partial<WindowRecord>[] = [
      { state: 'freezing', pin: 'none' },
      { state: 'frozen', pin: 'pinned' },
      { state: 'frozen', pin: 'none' },
      { state: 'failed', pin: 'pinned' },
      { state: 'failed', pin: 'pinning' },
    ]
    it.each(taken)('rejects a name whose window is $state with pin $pin, and keeps that window', async (held) => {
      await store.reserveWindow(aWindow(held), someContent('first'))

      expect(await store.reserveWindow(aWindow({ id: 'window-2' }), someContent('second'))).toBe('taken')

      expect(await store.getWindow('acme', 'draft')).toEqual(aWindow(held))
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent('first'))
    })

    it('replaces a failed window without a pin, with its content and its place in the list', async () => {
      await store.reserveWindow(aWindow({ state: 'failed', reason: 'upstream gone' }), someContent('first'))
      await store.reserveWindow(aWindow({ name: 'between', id: 'window-3', createdAt: noon + 1 }), someContent())

      const again = aWindow({ id: 'window-2', createdAt: noon + 2 })
      expect(await store.reserveWindow(again, someContent('second', []))).toBe('stored')

      expect(await store.getWindow('acme', 'draft')).toEqual(again)
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toBeUndefined()
      expect(await store.getWindowContent('acme', 'draft', 'window-2')).toEqual(someContent('second', []))
      expect((await store.listWindows('acme', { limit: 10 })).items.map((w) => w.id)).toEqual(['window-2', 'window-3'])
    })

    it('changes the given fields and the ids, and nothing else', async () => {
      await store.reserveWindow(aWindow({ clientSalt: 'mine' }), someContent('hello', []))

      const change = { state: 'frozen', pin: 'pinned', frozenAt: noon + 5, checksum: 'sum' } as const
      const changed = await store.changeWindow('acme', 'draft', 'window-1', {
        ...change,
        tokenIds: Uint32Array.of(7, 8),
      })

      expect(changed).toBe(true)
      expect(await store.getWindow('acme', 'draft')).toEqual(aWindow({ clientSalt: 'mine', ...change }))
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent('hello', [7, 8]))
    })

    it('keeps earlier changes and the ids if a later change omits them', async () => {
      await store.reserveWindow(aWindow(), someContent())
      await store.changeWindow('acme', 'draft', 'window-1', { pin: 'pinning' })
      await store.changeWindow('acme', 'draft', 'window-1', { state: 'failed', reason: 'timeout' })

      expect(await store.getWindow('acme', 'draft')).toEqual(
        aWindow({ pin: 'pinning', state: 'failed', reason: 'timeout' }),
      )
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
    })

    it('removes a field that a change sets to undefined', async () => {
      await store.reserveWindow(aWindow({ note: 'as agreed', pinUntil: noon + 9 }), someContent())

      await store.changeWindow('acme', 'draft', 'window-1', { note: undefined, pinUntil: undefined, tags: ['a'] })

      expect(await store.getWindow('acme', 'draft')).toEqual(aWindow({ tags: ['a'] }))
      expect(Object.keys((await store.getWindow('acme', 'draft')) ?? {})).not.toContain('note')
    })

    it('loses none of many concurrent changes', async () => {
      const other = await subject().reopen()
      await store.reserveWindow(aWindow(), someContent())

      await Promise.all([
        store.changeWindow('acme', 'draft', 'window-1', { state: 'frozen' }),
        other.changeWindow('acme', 'draft', 'window-1', { pin: 'pinned' }),
        store.changeWindow('acme', 'draft', 'window-1', { checksum: 'sum' }),
        other.changeWindow('acme', 'draft', 'window-1', { frozenAt: noon + 1 }),
      ])

      expect(await store.getWindow('acme', 'draft')).toEqual(
        aWindow({ state: 'frozen', pin: 'pinned', checksum: 'sum', frozenAt: noon + 1 }),
      )
    })

    it('does not change a window that is gone, was replaced, or is another tenant’s', async () => {
      await store.reserveWindow(aWindow(), someContent())

      expect(await store.changeWindow('acme', 'nothing', 'window-1', { state: 'frozen' })).toBe(false)
      expect(await store.changeWindow('acme', 'draft', 'window-0', { state: 'frozen' })).toBe(false)
      expect(await store.changeWindow('globex', 'draft', 'window-1', { state: 'frozen' })).toBe(false)

      expect(await store.getWindow('acme', 'draft')).toEqual(aWindow())
    })

    it('keeps every field of a window', async () => {
      const full = fullWindow()

      await store.reserveWindow(full, someContent())

      expect(await store.getWindow('acme', 'draft')).toEqual(full)
      expect((await store.listWindows('acme', { limit: 1 })).items).toEqual([full])
    })

    it('separates tenants in every read', async () => {
      await store.reserveWindow(aWindow(), someContent('of acme'))
      expect(await store.getWindow('globex', 'draft')).toBeUndefined()
      expect(await store.getWindowContent('globex', 'draft', 'window-1')).toBeUndefined()
      expect((await store.listWindows('globex', { limit: 10 })).items).toEqual([])

      expect(await store.reserveWindow(aWindow({ tenant: 'globex' }), someContent('of globex'))).toBe('stored')
      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent('of acme'))
      expect(await store.getWindowContent('globex', 'draft', 'window-1')).toEqual(someContent('of globex'))
    })

    it('lists windows to repair by state or possible pin, of all tenants in order of creation', async () => {
      const windows = [
        aWindow({ name: 'd', createdAt: noon + 4, state: 'failed', pin: 'pinning' }),
        aWindow({ name: 'a', createdAt: noon + 1, state: 'freezing' }),
        aWindow({ name: 'b', createdAt: noon + 2, tenant: 'globex', state: 'frozen', pin: 'pinned' }),
        aWindow({ name: 'c', createdAt: noon + 3, state: 'frozen' }),
        aWindow({ name: 'e', createdAt: noon + 5, state: 'failed' }),
      ]
      for (const window of windows) await store.reserveWindow(window, someContent())

      const names = async (states: Parameters<Store['listForRepair']>[0]) =>
        (await readAll((page) => store.listForRepair(states, page), 2)).map((window) => window.name)

      expect(await names(['freezing'])).toEqual(['a', 'b', 'd'])
      expect(await names([])).toEqual(['b', 'd'])
      expect(await names(['freezing', 'frozen', 'failed'])).toEqual(['a', 'b', 'c', 'd', 'e'])
    })
  })
}

export function describeContent(subject: Subject): void {
  describe('content', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('returns text of every kind', async () => {
      const text = 'é 😀 \u0000 \ud800 \u2028 "\\" \r\n \u{10ffff} עברית'
      const content: WindowContent = {
        prompt: {
          dialect: 'messages',
          model: 'small',
          messages: [{ role: 'user', content: text, [text]: [null, true, 1.5e-7, -3] }, text, null],
          shaping: { system: text, tools: [] },
        },
        tokenIds: Uint32Array.of(0, 1, 0xffffffff),
      }

      await store.reserveWindow(aWindow(), content)

      expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(content)
    })

    it('returns 5 MB of messages and 131,072 ids', async () => {
      const tokenIds = Uint32Array.from({ length: 131_072 }, (_, n) => (n * 2_654_435_761) >>> 0)
      await store.reserveWindow(aWindow(), someContent('wörd '.repeat(840_000), []))
      await store.changeWindow('acme', 'draft', 'window-1', { tokenIds })

      const content = await store.getWindowContent('acme', 'draft', 'window-1')

      expect(content?.prompt.messages[0]).toEqual({ role: 'user', content: 'wörd '.repeat(840_000) })
      expect(content?.tokenIds).toBeInstanceOf(Uint32Array)
      expect(content?.tokenIds.join()).toBe(tokenIds.join()) // toEqual takes a second for this many
    })

    it('accepts ids that are a view into a larger array', async () => {
      const part = Uint32Array.of(9, 1, 2, 3, 9).subarray(1, 4)

      await store.reserveWindow(aWindow(), { ...someContent(), tokenIds: part })

      expect((await store.getWindowContent('acme', 'draft', 'window-1'))?.tokenIds).toEqual(Uint32Array.of(1, 2, 3))
    })
  })
}
