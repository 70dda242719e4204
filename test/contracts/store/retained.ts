// The contract for retained turns: each session's last turn, limited in total.

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

    it('are the last turns of their sessions, with every field', async () => {
      const full = aTurn('é \u0000 \ud800', { replyAt: 3, promptTokens: 9, clientSalt: 'mine', parent: 'draft' })
      await store.putRetained('acme', 'a', aTurn('before'), plenty)
      await store.putRetained('acme', 'a', full, plenty)

      expect(await store.getRetained('acme', 'a')).toEqual(full)
      expect(await store.getRetained('acme', 'b')).toBeUndefined()
      expect(await store.getRetained('globex', 'a')).toBeUndefined()
    })

    it('are dropped beyond the total limit, least recently written first', async () => {
      const turn = aTurn('x'.repeat(1000))
      for (const id of ['a', 'b', 'a', 'c']) await store.putRetained('acme', id, turn, 2800)

      const kept = await Promise.all(['a', 'b', 'c'].map((id) => store.getRetained('acme', id)))
      expect(kept).toEqual([turn, undefined, turn])
    })

    it('are not stored if a single one is too large', async () => {
      await store.putRetained('acme', 'a', aTurn('small'), 1000)
      await store.putRetained('acme', 'a', aTurn('x'.repeat(2000)), 1000)

      expect(await store.getRetained('acme', 'a')).toBeUndefined()
    })

    it('are not stored for a session that was ended meanwhile', async () => {
      await store.putRetained('acme', 'ended', aTurn(), plenty)

      expect(await store.getRetained('acme', 'ended')).toBeUndefined()
    })
  })
}
