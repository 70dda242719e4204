// The contract for encryption at rest, on a store opened with a key: keys are required, rotated, and verified. Each store's own test
// searches its files for clear text.

import { describe, expect, it } from 'vitest'
import { Sealer } from '../../../src/store/seal.ts'
import type { Store } from '../../../src/store/store.ts'
import { aLibrary, anOrder, aPart, aSession, aTurn, aWindow, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

const oldKey = Buffer.alloc(32, 1)
const newKey = Buffer.alloc(32, 2)

/** The key of a sealed store under test. */
export const contractSealer = new Sealer(oldKey)

const held = aWindow({ name: 'held', id: 'window-2', note: 'keep' })
const noted = aWindow({ state: 'failed', reason: 'as he said', note: 'keep' })

/** A record of every sealed kind. */
async function fill(store: Store): Promise<void> {
  await store.getOrCreateSession(aSession())
  await store.putRetained('acme', 'session-1', aTurn(), 10_000)
  await store.getOrCreateSession(aSession({ id: 'ended' }))
  await store.removeSession(aSession({ id: 'ended' }), anOrder({ kind: 'session' }), [Uint32Array.of(4, 5)])
  await store.reserveWindow(noted, someContent())
  await store.reserveWindow(held, someContent('held'))
  await store.saveTurn(
    aSession({ id: 'bob', baseWindow: 'held', baseWindowId: 'window-2' }),
    { boundaries: [], keepBoundaries: 4 },
    true,
  )
  await store.removeWindow(held, anOrder({ id: 'deletion-2' }), [Uint32Array.of(6)])
  await store.putLibrary(aLibrary(), [aPart('one')])
}

async function expectAll(store: Store): Promise<void> {
  expect(await store.getWindow('acme', 'draft')).toEqual(noted)
  expect(await store.getWindowContent('acme', 'draft', 'window-1')).toEqual(someContent())
  expect((await store.getHeldWindow('acme', 'window-2'))?.window).toEqual(held)
  expect(await store.getWindowContent('acme', 'held', 'window-2')).toEqual(someContent('held'))
  expect(await store.getDeletionSequences('acme', 'deletion-2')).toEqual([Uint32Array.of(6)])
  expect(await store.getRetained('acme', 'session-1')).toEqual(aTurn())
  expect(await store.getLibrary('acme', 'law')).toEqual(aLibrary())
  expect(await store.getLibraryPart('acme', 'law', 'one')).toEqual(aPart('one').prompt)
  expect(await store.getDeletionSequences('acme', 'deletion-1')).toEqual([Uint32Array.of(4, 5)])
}

async function resealAll(store: Store): Promise<number> {
  for (let sealed = 0; ; ) {
    const more = await store.reseal(2)
    expect(more).toBeLessThanOrEqual(2)
    if (more === 0) return sealed
    sealed += more
  }
}

/** For stores opened with {@link contractSealer}. */
export function describeSealing(subject: Subject): void {
  describe('encryption', () => {
    it('re-encrypts nothing while the key is the same', async () => {
      const { store } = subject()
      await fill(store)

      expect(await store.reseal(100)).toBe(0)
    })

    it('requires its key, and rejects another', async () => {
      await fill(subject().store)

      await expect(subject().reopenWith(undefined)).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('encryption_key'),
      })
      await expect(subject().reopenWith(new Sealer(newKey))).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('encryption_keys_old'),
      })
    })

    it('rotates its key: the old one decrypts until everything is re-encrypted, then it is not needed', async () => {
      await fill(subject().store)

      const both = await subject().reopenWith(new Sealer(newKey, [oldKey]))
      await expectAll(both)
      expect(await resealAll(both)).toBe(11)
      await expectAll(both)

      await expectAll(await subject().reopenWith(new Sealer(newKey)))
      await expect(subject().reopenWith(contractSealer)).rejects.toMatchObject({ code: 'CONFIG' })
    })

    it('requires the old key until everything is re-encrypted', async () => {
      await fill(subject().store)
      const both = await subject().reopenWith(new Sealer(newKey, [oldKey]))
      await both.reseal(2)

      await expect(subject().reopenWith(new Sealer(newKey))).rejects.toMatchObject({ code: 'CONFIG' })
    })
  })
}

/** For stores opened without a key. */
export function describeTurningSealingOn(subject: Subject): void {
  describe('encryption that is enabled later', () => {
    it('reads and encrypts clear text', async () => {
      await fill(subject().store)
      expect(await subject().store.reseal(100)).toBe(0)

      const sealed = await subject().reopenWith(contractSealer)
      await expectAll(sealed)
      expect(await resealAll(sealed)).toBe(11)

      await expectAll(sealed)
      await expect(subject().reopenWith(undefined)).rejects.toMatchObject({ code: 'CONFIG' })
    })
  })
}
