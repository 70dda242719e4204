// The contract of what proxies share about engines: placements, and which engines drain.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { until } from '../../support/deadline.ts'
import type { Subject } from './subject.ts'

const HOUR = 3_600_000
const A = 'http://a.example:8000'
const B = 'http://b.example:8000'
const C = 'http://c.example:8000'

/** Opened by the stores' own tests with this bound. */
export const FEW_PLACEMENTS = 40

export function describeEngines(subject: Subject): void {
  let store: Store
  beforeEach(() => {
    store = subject().store
  })

  describe('a placement', () => {
    it('is found by its key, on every handle', async () => {
      expect(await store.getPlacement('key')).toBeUndefined()

      expect(await store.place('key', A, undefined, HOUR)).toBe(A)

      expect(await (await subject().reopen()).getPlacement('key')).toBe(A)
      expect(await store.getPlacement('another')).toBeUndefined()
    })

    it('stays with the engine that was stored first', async () => {
      await store.place('key', A, undefined, HOUR)

      expect(await store.place('key', B, undefined, HOUR)).toBe(A)
      expect(await store.getPlacement('key')).toBe(A)
    })

    it('is replaced if it is the one that the caller gave up, and only then', async () => {
      await store.place('key', A, undefined, HOUR)

      expect(await store.place('key', B, C, HOUR)).toBe(A)
      expect(await store.place('key', B, A, HOUR)).toBe(B)
      expect(await store.place('key', C, A, HOUR)).toBe(B)
      expect(await store.getPlacement('key')).toBe(B)
    })

    it('is one for many callers on two handles, who place first and who replace', async () => {
      const other = await subject().reopen()
      const race = (instead: string | undefined, from: number) =>
        Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            (n % 2 === 0 ? store : other).place('key', `http://engine-${from + n}`, instead, HOUR),
          ),
        )

      const first = new Set(await race(undefined, 0))
      const second = new Set(await race([...first][0], 100))

      expect([first.size, second.size]).toEqual([1, 1])
      expect([...second]).not.toEqual([...first])
      expect([await other.getPlacement('key')]).toEqual([...second])
    })

    it('may have any key', async () => {
      await store.place('a{b}:c d/é', A, undefined, HOUR)

      expect(await store.getPlacement('a{b}:c d/é')).toBe(A)
    })

    it('expires, and is free again then', async () => {
      await store.place('key', A, undefined, 1)
      await until('the placement has expired', async () => (await store.getPlacement('key')) === undefined)

      expect(await store.place('key', B, undefined, HOUR)).toBe(B)
      expect([await store.countPlacements(A), await store.countPlacements(B)]).toEqual([0, 1])
    })

    it.each([
      ['by the same engine', A],
      ['by another one, which finds it stored', B],
    ])('lives longer each time it is placed again %s', async (_, engine) => {
      await store.place('key', A, undefined, 300)
      await store.place('key', engine, undefined, HOUR)
      await store.place('short', A, undefined, 400)
      await until('the later one has expired', async () => (await store.getPlacement('short')) === undefined)

      expect(await store.getPlacement('key')).toBe(A)
    })

    it('is counted for its engine only', async () => {
      for (const key of ['1', '2', '3']) await store.place(key, A, undefined, HOUR)
      await store.place('4', B, undefined, HOUR)
      await store.place('3', B, A, HOUR)
      await store.place('1', A, undefined, HOUR)

      expect([await store.countPlacements(A), await store.countPlacements(B), await store.countPlacements(C)]).toEqual([
        2, 2, 0,
      ])
    })

    it('is no longer counted once it has expired and the sweep was there', async () => {
      await store.place('key', A, undefined, 1)
      await store.place('kept', A, undefined, HOUR)
      await until('the placement has expired', async () => (await store.getPlacement('key')) === undefined)

      await store.dropExpired(Date.now(), 100)

      expect(await store.countPlacements(A)).toBe(1)
    })

    it('makes room for others beyond the bound: the one that expires first goes', async () => {
      await store.place('first to expire', A, undefined, HOUR / 2)
      for (let n = 0; n < FEW_PLACEMENTS; n++) await store.place(`key-${n}`, A, undefined, HOUR)

      expect(await store.getPlacement('first to expire')).toBeUndefined()
      expect(await store.getPlacement('key-0')).toBe(A)
      expect(await store.countPlacements(A)).toBe(FEW_PLACEMENTS)
    })
  })

  describe('a draining engine', () => {
    it('is listed until it is resumed, on every handle', async () => {
      expect(await store.listDraining()).toEqual([])

      await store.setDraining(B, true)
      await store.setDraining(A, true)
      await store.setDraining(A, true)
      expect(await (await subject().reopen()).listDraining()).toEqual([A, B])

      await store.setDraining(A, false)
      await store.setDraining(C, false)
      expect(await store.listDraining()).toEqual([B])
    })
  })
}
