// The contract for libraries: records that change one revision at a time, and the windows that are still to be frozen for them.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { aLibrary, aPart, noon, readAll } from './sample-records.ts'
import type { Subject } from './subject.ts'

/** A library with nothing left to do. */
const ready = (name = 'law', revision = 1) => {
  const { build, ...rest } = aLibrary({ name, revision })
  return build === undefined ? rest : { ...rest, manifest: build.manifest }
}

export function describeLibraries(subject: Subject): void {
  describe('libraries', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('have every field, and belong to one tenant', async () => {
      const full = aLibrary({ stale: ['gone'], changedAt: noon + 1 })

      expect(await store.putLibrary(full)).toBe(true)

      expect(await store.getLibrary('acme', 'law')).toEqual(full)
      expect(await (await subject().reopen()).getLibrary('acme', 'law')).toEqual(full)
      expect(await store.getLibrary('globex', 'law')).toBeUndefined()
      expect((await store.listLibraries('globex', { limit: 10 })).items).toEqual([])
      expect([await store.countLibraries('acme'), await store.countLibraries('globex')]).toEqual([1, 0])
    })

    it('change only from the revision before', async () => {
      expect(await store.putLibrary(aLibrary({ revision: 2 }))).toBe(false)
      expect(await store.putLibrary(aLibrary())).toBe(true)
      expect(await store.putLibrary(aLibrary(), [aPart('one')])).toBe(false)
      expect(await store.putLibrary(ready('law', 2))).toBe(true)

      expect(await store.getLibrary('acme', 'law')).toEqual(ready('law', 2))
      expect((await store.listLibraryParts('acme', 'law')).size).toBe(0)
    })

    it('are changed by one of two writers at the same moment', async () => {
      const other = await subject().reopen()
      await store.putLibrary(aLibrary())

      const done = await Promise.all([store, other].map((by) => by.putLibrary(ready('law', 2))))

      expect(done.filter(Boolean)).toHaveLength(1)
    })

    it('are listed by name, page by page', async () => {
      for (const name of ['b', 'C', 'a', 'd']) await store.putLibrary(aLibrary({ name }))

      const names = (await readAll((page) => store.listLibraries('acme', page), 3)).map(({ name }) => name)

      expect(names).toEqual(['C', 'a', 'b', 'd'])
    })

    it('are open while there is something to do for them', async () => {
      await store.putLibrary(aLibrary({ name: 'building' }))
      await store.putLibrary({ ...ready('stale'), stale: ['gone'] })
      await store.putLibrary({ ...ready('deleted'), deleted: true })
      await store.putLibrary(ready('ready'))
      const { build } = aLibrary()
      const failure = { window: 'one', reason: 'no' }
      await store.putLibrary({ ...ready('failed'), ...(build && { build: { ...build, failure } }) })

      const open = await store.listOpenLibraries(10)

      expect(open.map(({ name }) => name).sort()).toEqual(['building', 'deleted', 'stale'])
      expect(await store.listOpenLibraries(2)).toHaveLength(2)
      await store.putLibrary(ready('building', 2))
      expect(await store.listOpenLibraries(10)).toHaveLength(2)
    })

    it('keep the prompts of pending windows until these are replaced', async () => {
      await store.putLibrary(aLibrary(), [aPart('one'), aPart('two')])
      await store.markLibraryPart('acme', 'law', 'two', true)

      expect(await store.listLibraryParts('acme', 'law')).toEqual(
        new Map([
          ['one', false],
          ['two', true],
        ]),
      )
      expect(await store.getLibraryPart('acme', 'law', 'one')).toEqual(aPart('one').prompt)
      expect(await store.getLibraryPart('globex', 'law', 'one')).toBeUndefined()
      await store.putLibrary(aLibrary({ revision: 2 }))
      expect(await store.getLibraryPart('acme', 'law', 'two')).toEqual(aPart('two').prompt)
      await store.markLibraryPart('acme', 'law', 'two', false)
      await store.putLibrary(aLibrary({ revision: 3 }), [aPart('three')])
      expect(await store.listLibraryParts('acme', 'law')).toEqual(new Map([['three', false]]))
      expect(await store.getLibraryPart('acme', 'law', 'one')).toBeUndefined()
    })

    it('do not get a part by a mark', async () => {
      await store.markLibraryPart('acme', 'law', 'one', true)
      await store.putLibrary(aLibrary(), [aPart('one')])
      await store.markLibraryPart('acme', 'law', 'two', true)

      expect(await store.listLibraryParts('acme', 'law')).toEqual(new Map([['one', false]]))
    })

    it('go with their parts, if nobody has changed them', async () => {
      await store.putLibrary(aLibrary(), [aPart('one')])

      expect(await store.removeLibrary('acme', 'law', 2)).toBe(false)
      expect(await store.removeLibrary('acme', 'law', 1)).toBe(true)

      expect(await store.getLibrary('acme', 'law')).toBeUndefined()
      expect(await store.getLibraryPart('acme', 'law', 'one')).toBeUndefined()
      expect(await store.listOpenLibraries(10)).toEqual([])
      expect(await store.putLibrary(aLibrary())).toBe(true)
    })
  })
}
