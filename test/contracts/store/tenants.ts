// The contract for tenants: their usage, limits and audit log, and how one is forgotten.

import { beforeEach, describe, expect, it } from 'vitest'
import type { AuditEntry, FreezeReceipt, TenantUsage } from '../../../src/base/records.ts'
import type { Store } from '../../../src/store/store.ts'
import {
  aBoundary,
  aLibrary,
  anEntry,
  anOrder,
  aPart,
  aSession,
  aTurn,
  aWindow,
  fullReceipt,
  noon,
  putTurn,
  readAll,
  someContent,
} from './sample-records.ts'
import type { Subject } from './subject.ts'

const receiptOf = (tokens: number): FreezeReceipt => ({ ...fullReceipt, tokens })
const none: TenantUsage = { windows: 0, windowBytes: 0, sessions: 0, pinnedTokens: 0 }

export function describeUsage(subject: Subject): void {
  describe('usage', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('lists tenants with a session or a window, in order and page by page', async () => {
      for (const tenant of ['globex', 'acme']) await store.reserveWindow(aWindow({ tenant }), someContent())
      await store.getOrCreateSession(aSession({ tenant: 'initech' }))

      expect(await store.listTenants('', 10)).toEqual(['acme', 'globex', 'initech'])
      expect(await store.listTenants('', 2)).toEqual(['acme', 'globex'])
      expect(await store.listTenants('globex', 2)).toEqual(['initech'])
    })

    it('is zero for an unknown tenant', async () => {
      expect(await store.usageOf('acme')).toEqual(none)
    })

    it('is summed over all tenants', async () => {
      const before = await store.usageOfAll()
      await store.reserveWindow(aWindow({ bytes: 10, receipt: receiptOf(600), pin: 'pinned' }), someContent())
      await store.reserveWindow(aWindow({ tenant: 'globex', bytes: 2_500_000_000 }), someContent())
      await store.getOrCreateSession(aSession({ tenant: 'initech' }))

      expect(before).toEqual(none)
      expect(await store.usageOfAll()).toEqual({
        windows: 2,
        windowBytes: 2_500_000_010,
        sessions: 1,
        pinnedTokens: 600,
      })
    })

    it('counts windows, bytes, sessions and pinned tokens, and subtracts what is removed', async () => {
      await store.reserveWindow(aWindow({ bytes: 10, receipt: receiptOf(600), pin: 'pinned' }), someContent())
      await store.reserveWindow(aWindow({ name: 'b', bytes: 2_500_000_000 }), someContent())
      await putTurn(store, aSession())
      await putTurn(store, aSession({ turns: 1 }))
      await store.getOrCreateSession(aSession({ id: 'two' }))
      await store.reserveWindow(aWindow({ tenant: 'globex' }), someContent())
      const full = await store.usageOf('acme')

      await store.removeWindow(aWindow(), anOrder({ id: 'first' }), [])
      await store.removeSession(aSession(), anOrder({ id: 'second', kind: 'session' }), [])

      expect(full).toEqual({ windows: 2, windowBytes: 2_500_000_010, sessions: 2, pinnedTokens: 600 })
      expect(await store.usageOf('acme')).toEqual({
        windows: 1,
        windowBytes: 2_500_000_000,
        sessions: 1,
        pinnedTokens: 0,
      })
    })

    it("follows a window's pin, receipt and bytes", async () => {
      await store.reserveWindow(aWindow({ bytes: 10 }), someContent())
      const change = (fields: Parameters<Store['changeWindow']>[3]) =>
        store.changeWindow('acme', 'draft', 'window-1', fields)
      const tokens = async () => (await store.usageOf('acme')).pinnedTokens

      await change({ pin: 'pinning', receipt: receiptOf(600) })
      expect(await tokens()).toBe(600)
      await change({ pin: 'pinned', receipt: receiptOf(700), bytes: 30 })
      expect(await store.usageOf('acme')).toEqual({ ...none, windows: 1, windowBytes: 30, pinnedTokens: 700 })
      await change({ pin: 'released' })
      expect(await tokens()).toBe(0)
    })

    it('counts a replaced failed window once', async () => {
      await store.reserveWindow(aWindow({ state: 'failed', bytes: 10 }), someContent())
      await store.reserveWindow(aWindow({ id: 'window-2', bytes: 30 }), someContent())

      expect(await store.usageOf('acme')).toEqual({ ...none, windows: 1, windowBytes: 30 })
    })
  })
}

export function describeLimits(subject: Subject): void {
  describe('limits of a tenant', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('apply to windows, per tenant', async () => {
      const limits = { maxWindows: 1 }
      await store.reserveWindow(aWindow({ tenant: 'globex' }), someContent())

      expect(await store.reserveWindow(aWindow(), someContent(), limits)).toBe('stored')
      expect(await store.reserveWindow(aWindow({ name: 'b' }), someContent(), limits)).toBe('too_many')

      expect(await store.getWindow('acme', 'b')).toBeUndefined()
      expect(await store.reserveWindow(aWindow(), someContent(), limits)).toBe('taken')
    })

    it('apply to bytes, exactly', async () => {
      const limits = { maxBytes: 100 }
      expect(await store.reserveWindow(aWindow({ bytes: 60 }), someContent(), limits)).toBe('stored')

      expect(await store.reserveWindow(aWindow({ name: 'b', bytes: 41 }), someContent(), limits)).toBe('too_large')
      expect(await store.reserveWindow(aWindow({ name: 'b', bytes: 40 }), someContent(), limits)).toBe('stored')
    })

    it('allow a retry of a name after a failure', async () => {
      const limits = { maxWindows: 1, maxBytes: 100 }
      await store.reserveWindow(aWindow({ state: 'failed', bytes: 100 }), someContent(), limits)

      const again = aWindow({ id: 'window-2', bytes: 100 })
      expect(await store.reserveWindow(again, someContent(), limits)).toBe('stored')
    })

    it('keep a failed window if its replacement exceeds them', async () => {
      await store.reserveWindow(aWindow({ state: 'failed', bytes: 10 }), someContent('first'))

      const again = aWindow({ id: 'window-2', bytes: 101 })
      expect(await store.reserveWindow(again, someContent(), { maxBytes: 100 })).toBe('too_large')

      expect((await store.getWindow('acme', 'draft'))?.id).toBe('window-1')
    })

    it('hold for concurrent calls on two handles', async () => {
      const other = await subject().reopen()

      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 === 0 ? store : other).reserveWindow(aWindow({ name: `w-${n}`, bytes: 10 }), someContent(), {
            maxWindows: 5,
            maxBytes: 1000,
          }),
        ),
      )

      expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(5)
      expect(outcomes.filter((outcome) => outcome === 'too_many')).toHaveLength(15)
      expect(await other.usageOf('acme')).toEqual({ ...none, windows: 5, windowBytes: 50 })
    })
  })
}

export function describeAudit(subject: Subject): void {
  describe('the audit log', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('keeps every field, newest first, for one tenant or all', async () => {
      const full = anEntry({ id: 'b', at: noon + 1, receipt: { tokens: 5, durability: 'l2', drift: false, at: null } })
      await store.appendAudit(anEntry({ id: 'a' }), 10)
      await store.appendAudit(full, 10)
      await store.appendAudit(anEntry({ id: 'c', at: noon + 2, tenant: 'globex' }), 10)

      expect((await store.listAudit('acme', { limit: 10 })).items).toEqual([full, anEntry({ id: 'a' })])
      const all = await readAll((page) => store.listAudit(undefined, page), 1)
      expect(all.map(({ id }) => id)).toEqual(['c', 'b', 'a'])
    })

    it('keeps the newest entries, with a total limit', async () => {
      for (let n = 0; n < 6; n++) {
        await store.appendAudit(anEntry({ id: `e-${n}`, at: noon + n, tenant: n % 2 === 0 ? 'acme' : 'globex' }), 3)
      }

      expect((await store.listAudit(undefined, { limit: 10 })).items.map(({ id }) => id)).toEqual(['e-5', 'e-4', 'e-3'])
      expect((await store.listAudit('acme', { limit: 10 })).items.map(({ id }) => id)).toEqual(['e-4'])
    })

    const append = async (count: number, keep: number, fields: Partial<AuditEntry>, at = noon) => {
      const { tenant = 'acme', outcome = 'ok' } = fields
      for (let n = 0; n < count; n++) {
        await store.appendAudit(anEntry({ ...fields, id: `${tenant}-${outcome}-${n}`, at: at + n }), keep)
      }
    }
    const idsOf = async (tenant?: string) => (await store.listAudit(tenant, { limit: 100 })).items.map(({ id }) => id)

    it("keeps each tenant's newest entries when another tenant adds more than are kept", async () => {
      await append(3, 10, { tenant: 'honest' })
      await append(50, 10, { tenant: 'junk' }, noon + 100)

      expect(await idsOf('honest')).toEqual(['honest-ok-2', 'honest-ok-1', 'honest-ok-0'])
      expect(await idsOf('junk')).toEqual([49, 48, 47, 46, 45, 44, 43].map((n) => `junk-ok-${n}`))
    })

    it('divides evenly between two tenants that add more than are kept', async () => {
      await append(20, 10, { tenant: 'one' })
      await append(20, 10, { tenant: 'two' }, noon + 100)

      expect([(await idsOf('one')).length, (await idsOf('two')).length]).toEqual([5, 5])
    })

    it('drops the oldest entry when no tenant has two', async () => {
      for (let n = 0; n < 5; n++) await append(1, 3, { tenant: `t-${n}` }, noon + n)

      expect(await idsOf()).toEqual(['t-4-ok-0', 't-3-ok-0', 't-2-ok-0'])
    })

    it('keeps failed attempts under a bound of their own, so that they displace no successes', async () => {
      await append(3, 5, {})
      await append(50, 5, { outcome: 'window_not_found' }, noon + 100)
      await append(1, 5, { tenant: 'globex', outcome: 'window_not_found' }, noon + 200)

      const failed = [49, 48, 47, 46].map((n) => `acme-window_not_found-${n}`)
      expect(await idsOf('acme')).toEqual([...failed, 'acme-ok-2', 'acme-ok-1', 'acme-ok-0'])
      expect(await idsOf()).toHaveLength(8)
    })

    it('lists successes and failed attempts in one order, page by page', async () => {
      for (let n = 0; n < 7; n++) {
        await store.appendAudit(anEntry({ id: `e-${n}`, at: noon + n, outcome: n % 3 === 0 ? 'busy' : 'ok' }), 100)
      }

      for (const tenant of ['acme', undefined]) {
        const all = await readAll((page) => store.listAudit(tenant, page), 2)
        expect(all.map(({ id }) => id)).toEqual(['e-6', 'e-5', 'e-4', 'e-3', 'e-2', 'e-1', 'e-0'])
      }
    })

    it('replaces the entry with the same id and time', async () => {
      const first = anEntry({ id: 'a', outcome: 'busy' })
      const second = anEntry({ id: 'b', at: noon + 1, outcome: 'busy' })
      const repeated = { ...first, count: 7, lastAt: noon + 5 }
      for (const entry of [first, second, repeated, repeated]) await store.appendAudit(entry, 10)
      await append(9, 10, { tenant: 'globex', outcome: 'busy' }, noon + 10)

      expect((await store.listAudit('acme', { limit: 10 })).items).toEqual([second, repeated])
      expect(await idsOf('globex')).toHaveLength(8)
    })

    it('lowers its bound when fewer are to be kept', async () => {
      await append(30, 100, { tenant: 'junk' })
      await append(2, 100, { tenant: 'honest' })

      for (let n = 0; n < 8; n++) await store.appendAudit(anEntry({ id: `n-${n}`, at: noon + 99, tenant: 'junk' }), 5)

      expect([(await idsOf('honest')).length, (await idsOf('junk')).length]).toEqual([2, 3])
    })
  })
}

export function describeChoices(subject: Subject): void {
  describe('the settings of a tenant', () => {
    it('are empty at first, then the last ones stored, and empty again', async () => {
      const { store } = subject()

      expect(await store.getOverrides('acme')).toEqual({})
      await store.putOverrides('acme', { freezeAt: 0, overflow: 'reject' })
      await store.putOverrides('acme', { overflow: 'rollover' })
      expect(await store.getOverrides('acme')).toEqual({ overflow: 'rollover' })
      expect(await store.getOverrides('globex')).toEqual({})
      await store.putOverrides('acme', {})
      expect(await store.getOverrides('acme')).toEqual({})
    })
  })
}

export function describeForgetting(subject: Subject): void {
  describe('a tenant that is forgotten', () => {
    it('leaves only its open deletes, and other tenants are unchanged', async () => {
      const { store } = subject()
      for (const tenant of ['acme', 'globex']) {
        const session = aSession({ tenant })
        const responses = [{ id: 'resp-1', expiresAt: noon + 10 }]
        const boundaries = [aBoundary({ tenant }), aBoundary({ tenant, digest: 'both' })]
        await store.saveTurn(session, { boundaries, keepBoundaries: 4, responses }, true)
        const two = { boundaries: [aBoundary({ tenant, digest: 'both', sessionId: 'two' })], keepBoundaries: 4 }
        await store.saveTurn(aSession({ tenant, id: 'two' }), two, true)
        await store.putRetained(tenant, 'session-1', aTurn(), 10_000)
        await store.claimLineage(tenant, 'ann', `of-${tenant}`)
        await store.appendAudit(anEntry({ tenant, id: tenant }), 10)
        await store.putOverrides(tenant, { freezeAt: 0.5 })
        await store.putLibrary(aLibrary({ tenant }), [aPart('one')])
      }
      await store.removeSession(aSession(), anOrder({ kind: 'session' }), [])
      await store.removeSession(aSession({ id: 'two' }), anOrder({ id: 'deletion-2', kind: 'session' }), [])
      await store.changeDeletion('acme', 'deletion-2', { state: 'done' })

      await store.forgetTenant('acme')

      const digests = ['digest-1', 'both']
      expect((await store.findBoundaries('acme', digests, noon)).size).toBe(0)
      expect(await store.findResponse('acme', 'resp-1', noon)).toBeUndefined()
      expect(await store.claimLineage('acme', 'ann', 'fresh')).toBe('fresh')
      expect(await store.retireLineage('acme', 'of-acme')).toBe(true)
      expect((await store.listAudit('acme', { limit: 10 })).items).toEqual([])
      expect((await store.listDeletions('acme', { limit: 10 })).items.map(({ id }) => id)).toEqual(['deletion-1'])
      expect(await store.usageOf('acme')).toEqual(none)
      expect(await store.getOverrides('acme')).toEqual({})
      expect(await store.getOverrides('globex')).toEqual({ freezeAt: 0.5 })
      expect(await store.getLibrary('acme', 'law')).toBeUndefined()
      expect(await store.getLibraryPart('acme', 'law', 'one')).toBeUndefined()
      expect(await store.listOpenLibraries(10)).toEqual([{ tenant: 'globex', name: 'law' }])
      expect((await store.findBoundaries('globex', digests, noon)).size).toBe(2)
      expect(await store.findResponse('globex', 'resp-1', noon)).toEqual({ sessionId: 'session-1' })
      expect(await store.getRetained('globex', 'session-1')).toEqual(aTurn())
      expect(await store.claimLineage('globex', 'ann', 'fresh')).toBe('of-globex')
      expect((await store.listAudit(undefined, { limit: 10 })).items.map(({ id }) => id)).toEqual(['globex'])
      expect((await store.usageOf('globex')).sessions).toBe(2)
    })
  })
}
