// The contract of ended logins.

import { describe, expect, it } from 'vitest'
import type { Subject } from './subject.ts'

/** The Redis store lets entries expire by its own clock, so the times are in the future. */
const now = Date.now()
const HOUR = 3_600_000
const KEEP = 3

export function describeLogins(subject: Subject): void {
  const login = (id: string, hours: number, owner = 'acme') => ({ owner, id, until: now + hours * HOUR })
  const end = (...logins: readonly ReturnType<typeof login>[]) =>
    logins.reduce<Promise<void>>(
      (before, one) => before.then(() => subject().store.endLogin(one, KEEP, now)),
      Promise.resolve(),
    )
  const isEnded = (one: ReturnType<typeof login>) => subject().store.isLoginEnded(one)

  describe('a login', () => {
    it('is ended once, alone, and for its owner only', async () => {
      await end(login('a', 8), login('a', 8))

      expect(await isEnded(login('a', 8))).toBe(true)
      expect(await isEnded(login('b', 7))).toBe(false)
      expect(await isEnded(login('a', 8, 'other'))).toBe(false)
    })

    it('may have any owner and id', async () => {
      const odd = { owner: 'k:{7}/ü', id: 'all', until: now + HOUR }
      await end(odd)

      expect(await isEnded(odd)).toBe(true)
      expect(await isEnded({ ...odd, id: '' })).toBe(false)
      expect(await isEnded({ ...odd, id: 'other' })).toBe(false)
    })

    it('stays ended beyond the bound: then older logins of its owner end too, and no newer ones', async () => {
      await end(login('a', 2), login('c', 4), login('b', 3), login('d', 5), login('e', 6))

      const ended = ['a', 'b', 'c', 'd', 'e'].map((id, i) => isEnded(login(id, i + 2)))
      expect(await Promise.all(ended)).toEqual([true, true, true, true, true])
      expect(await isEnded(login('never ended, expires first', 1))).toBe(true)
      expect(await isEnded(login('never ended, expires with a dropped one', 3))).toBe(true)
      expect(await isEnded(login('never ended, expires later', 3.5))).toBe(false)
      expect(await isEnded(login('never ended', 1, 'other'))).toBe(false)
    })

    it('that is older than all that are listed stays ended too', async () => {
      await end(login('b', 3), login('c', 4), login('d', 5), login('a', 2))

      expect(await isEnded(login('a', 2))).toBe(true)
      expect(await isEnded(login('b', 3))).toBe(true)
      expect(await isEnded(login('never ended', 2.5))).toBe(false)
    })

    it('is no longer listed once it has expired', async () => {
      const { store } = subject()
      await end(login('a', 1))
      await store.endLogin(login('b', 9), KEEP, now + 2 * HOUR)

      expect(await isEnded(login('a', 1))).toBe(false)
      expect(await isEnded(login('b', 9))).toBe(true)
    })

    it('that has expired is not listed', async () => {
      await end(login('a', -1))

      expect(await isEnded(login('a', -1))).toBe(false)
    })
  })
}
