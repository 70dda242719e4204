// The contract for lineages: who shares and who holds one, and that nothing is stored under a retired one.

import { beforeEach, describe, expect, it } from 'vitest'
import type { Store } from '../../../src/store/store.ts'
import { anOrder, aSession, aWindow, noon, putTurn, someContent } from './sample-records.ts'
import type { Subject } from './subject.ts'

export function describeLineages(subject: Subject): void {
  describe('lineages', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('returns one lineage for a key to many callers on two handles', async () => {
      const other = await subject().reopen()

      const lineages = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? store : other).claimLineage('acme', 'ann', `lineage-${n}`)),
      )

      expect(new Set(lineages).size).toBe(1)
    })

    it('separates keys and tenants', async () => {
      const claimed = [
        await store.claimLineage('acme', 'ann', 'one'),
        await store.claimLineage('acme', 'bob', 'two'),
        await store.claimLineage('globex', 'ann', 'three'),
        await store.claimLineage('acme', 'ann', 'four'),
      ]

      expect(claimed).toEqual(['one', 'two', 'three', 'one'])
    })

    it('lists the windows and counts the sessions that hold a lineage', async () => {
      await putTurn(store, aSession({ id: 'a' }))
      await putTurn(store, aSession({ id: 'b' }))
      await putTurn(store, aSession({ id: 'c', lineage: 'lineage-2' }))
      await putTurn(store, aSession({ id: 'd', tenant: 'globex' }))
      await store.reserveWindow(aWindow(), someContent())
      await store.reserveWindow(aWindow({ name: 'other', lineage: 'lineage-2' }), someContent())

      expect(await store.holdersOf('acme', 'lineage-1')).toEqual({ sessions: 2, windows: [aWindow()] })
      expect(await store.holdersOf('acme', 'nobody')).toEqual({ sessions: 0, windows: [] })
    })

    it('counts a session under the lineage that a thaw gave it', async () => {
      await putTurn(store, aSession())
      await store.bindSession(aSession({ head: 1, lineage: 'lineage-2' }), false)

      expect((await store.holdersOf('acme', 'lineage-1')).sessions).toBe(0)
      expect((await store.holdersOf('acme', 'lineage-2')).sessions).toBe(1)
    })

    it('retires a lineage that nothing holds, permanently, for its tenant only', async () => {
      expect(await store.isRetired('acme', 'lineage-1')).toBe(false)

      expect(await store.retireLineage('acme', 'lineage-1')).toBe(true)
      expect(await store.retireLineage('acme', 'lineage-1')).toBe(true)

      expect(await (await subject().reopen()).isRetired('acme', 'lineage-1')).toBe(true)
      expect(await store.isRetired('globex', 'lineage-1')).toBe(false)
    })

    it('does not retire a lineage held by a session, a window or a user', async () => {
      await putTurn(store, aSession({ lineage: 'of-a-session' }))
      await store.reserveWindow(aWindow({ lineage: 'of-a-window' }), someContent())
      await store.claimLineage('acme', 'ann', 'of-a-user')

      for (const lineage of ['of-a-session', 'of-a-window', 'of-a-user']) {
        expect(await store.retireLineage('acme', lineage)).toBe(false)
        expect(await store.isRetired('acme', lineage)).toBe(false)
      }
    })

    it('retires a lineage when its last holder is gone', async () => {
      await putTurn(store, aSession())
      await store.reserveWindow(aWindow(), someContent())

      await store.removeSession(aSession(), anOrder({ id: 'first', kind: 'session' }), [])
      expect(await store.retireLineage('acme', 'lineage-1')).toBe(false)
      await store.removeWindow(aWindow(), anOrder({ id: 'second' }), [])
      expect(await store.retireLineage('acme', 'lineage-1')).toBe(true)
    })

    it('either retires a lineage or stores under it, in whichever order two handles try', async () => {
      const other = await subject().reopen()

      for (let n = 0; n < 20; n++) {
        const lineage = `lineage-${n}`
        const trace = { boundaries: [], keepBoundaries: 4 }
        const [retired, saved, reserved] = await Promise.all([
          store.retireLineage('acme', lineage),
          other.saveTurn(aSession({ id: `session-${n}`, lineage, lastTurnAt: noon }), trace, true),
          other.reserveWindow(aWindow({ name: `window-${n}`, lineage }), someContent()),
        ])

        const { sessions, windows } = await store.holdersOf('acme', lineage)
        expect([saved, reserved]).toEqual(retired ? ['gone', 'retired'] : ['saved', 'stored'])
        expect([sessions, windows.length]).toEqual(retired ? [0, 0] : [1, 1])
        expect(await other.isRetired('acme', lineage)).toBe(retired)
      }
    })
  })
}
