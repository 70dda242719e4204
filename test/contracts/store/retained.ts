// The contract for retained turns: the last one of a session, bounded in all.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { aSession, aTurn } from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describeRetained(subject: Subject): void {
  describe('retained turns', () => {
    let store: Store
    beforeEach(async () => {
      store = subject().store
      for (const id of ['a', 'b', 'c']) await store.getOrCreateSession(aSession({ id }))
    })

    const plenty = 1_000_000

    it('are the last of their session, with every field', async () => {
      const full = aTurn('é \u0000 \ud800', { replyAt: 3, promptTokens: 9, clientSalt: 'mine', parent: 'draft' })
      await store.putRetained('acme', 'a', aTurn('before'), plenty)
      await store.putRetained('acme', 'a', full, plenty)

      expect(await store.getRetained('acme', 'a')).toEqual(full)
      expect(await store.getRetained('acme', 'b')).toBeUndefined()
      expect(await store.getRetained('globex', 'a')).toBeUndefined()
    })

    it('go when all together are too large, those longest unwritten first', async () => {
      const turn = aTurn('x'.repeat(1000))
      for (const id of ['a', 'b', 'a', 'c']) await store.putRetained('acme', id, turn, 2800)

      const kept = await Promise.all(['a', 'b', 'c'].map((id) => store.getRetained('acme', id)))
      expect(kept).toEqual([turn, undefined, turn])
    })

    it('are not kept when one alone is too large', async () => {
      await store.putRetained('acme', 'a', aTurn('small'), 1000)
      await store.putRetained('acme', 'a', aTurn('x'.repeat(2000)), 1000)

      expect(await store.getRetained('acme', 'a')).toBeUndefined()
    })

    it('are not kept of a session that is not stored: it was ended meanwhile', async () => {
      await store.putRetained('acme', 'ended', aTurn(), plenty)

      expect(await store.getRetained('acme', 'ended')).toBeUndefined()
    })
  })
}
