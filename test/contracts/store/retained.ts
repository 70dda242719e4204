// The contract for retained turns: each session's last turn, limited in total and fair by tenant.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { anOrder, aSession, aTurn } from './sample-records.ts'
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

    it('of a tenant stay when another stores more than fits', async () => {
      const turn = aTurn('x'.repeat(1000))
      for (const id of ['a', 'b']) await store.putRetained('acme', id, turn, 20_000)
      for (let n = 0; n < 30; n++) {
        await store.getOrCreateSession(aSession({ tenant: 'junk', id: `${n}` }))
        await store.putRetained('junk', `${n}`, aTurn('x'.repeat(4000)), 20_000)
      }

      const kept = await Promise.all(['a', 'b'].map((id) => store.getRetained('acme', id)))
      expect(kept).toEqual([turn, turn])
      expect(await store.getRetained('junk', '29')).toBeDefined()
      expect(await store.getRetained('junk', '26')).toBeDefined()
      expect(await store.getRetained('junk', '25')).toBeUndefined()
    })

    it('of a large size are stored only if they fit beside those of other tenants, and displace none otherwise', async () => {
      for (const id of ['a', 'b']) await store.putRetained('acme', id, aTurn('x'.repeat(1000)), 10_000)
      await store.getOrCreateSession(aSession({ tenant: 'globex' }))
      await store.putRetained('globex', 'session-1', aTurn('x'.repeat(4000)), 10_000)

      await store.putRetained('acme', 'c', aTurn('x'.repeat(7000)), 10_000)
      expect(await Promise.all(['a', 'b', 'c'].map((id) => store.getRetained('acme', id)))).toEqual([
        aTurn('x'.repeat(1000)),
        aTurn('x'.repeat(1000)),
        undefined,
      ])

      await store.putRetained('acme', 'c', aTurn('x'.repeat(5000)), 10_000)
      expect(await store.getRetained('acme', 'c')).toBeDefined()
      expect(await store.getRetained('globex', 'session-1')).toBeDefined()
    })

    it('leave room again when their sessions end', async () => {
      const turn = aTurn('x'.repeat(1000))
      for (const id of ['a', 'b', 'c']) await store.putRetained('acme', id, turn, 10_000)
      await store.removeSession(aSession({ id: 'a' }), anOrder({ kind: 'session' }), [])
      await store.getOrCreateSession(aSession({ tenant: 'globex' }))
      await store.putRetained('globex', 'session-1', aTurn('x'.repeat(7000)), 10_000)

      const kept = await Promise.all(['a', 'b', 'c'].map((id) => store.getRetained('acme', id)))
      expect(kept).toEqual([undefined, turn, turn])
    })

    it('are not stored for a session that was ended meanwhile', async () => {
      await store.putRetained('acme', 'ended', aTurn(), plenty)

      expect(await store.getRetained('acme', 'ended')).toBeUndefined()
    })
  })
}
