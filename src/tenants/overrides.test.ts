import { describe, expect, it } from 'vitest'
import type { Caller, NearLimitOverrides } from '../base/tenants.ts'
import { TenantOverrides } from './overrides.ts'

const caller = { tenant: 'acme', policy: { nearLimit: { freezeAt: 0.75, overflow: 'pass' } } } as Caller
const chosen = async (overrides: TenantOverrides) => {
  const { freezeAt, overflow } = (await overrides.applyTo(caller)).policy.nearLimit
  return { freezeAt, overflow }
}

/** A store of one tenant's overrides that counts its reads. */
function aStore(initial: NearLimitOverrides = {}) {
  const store = {
    overrides: initial,
    reads: 0,
    away: false,
    getOverrides: async () => {
      store.reads++
      if (store.away) throw new Error('away')
      return store.overrides
    },
    putOverrides: async (_: string, overrides: NearLimitOverrides) => {
      store.overrides = overrides
    },
  }
  return store
}

describe('TenantOverrides', () => {
  it('override the policy, and are read once', async () => {
    const store = aStore({ overflow: 'reject' })
    const overrides = new TenantOverrides(store, () => 0)

    const all = await Promise.all([chosen(overrides), chosen(overrides)])
    const later = overrides.applyTo(caller)

    expect(all).toEqual(Array(2).fill({ freezeAt: 0.75, overflow: 'reject' }))
    expect(later).not.toBeInstanceOf(Promise)
    expect(store.reads).toBe(1)
  })

  it('leave the caller object unchanged if there are none', async () => {
    expect(await new TenantOverrides(aStore(), () => 0).applyTo(caller)).toBe(caller)
  })

  it('take effect at once where they were set, and on other proxies within five seconds', async () => {
    let now = 0
    const store = aStore()
    const [here, there] = [new TenantOverrides(store, () => now), new TenantOverrides(store, () => now)]
    await chosen(there)

    await here.put('acme', { freezeAt: 0 })

    expect((await chosen(here)).freezeAt).toBe(0)
    expect((await chosen(there)).freezeAt).toBe(0.75)
    now = 5_001
    await chosen(there)
    await new Promise(setImmediate)
    expect((await chosen(there)).freezeAt).toBe(0)
  })

  it('stay in force while the store is unavailable; without any, the operator’s policy applies', async () => {
    let now = 0
    const store = aStore({ overflow: 'reject' })
    const [knows, knowsNot] = [new TenantOverrides(store, () => now), new TenantOverrides(store, () => now)]
    await chosen(knows)
    store.away = true
    now = 10_000

    expect((await chosen(knows)).overflow).toBe('reject')
    expect((await chosen(knowsNot)).overflow).toBe('pass')
    await expect(knows.get('acme')).rejects.toThrow('away')
    store.away = false
    await chosen(knowsNot)
    await new Promise(setImmediate)
    expect((await chosen(knowsNot)).overflow).toBe('reject')
  })

  it('are not replaced by an older read', async () => {
    const store = aStore()
    const overrides = new TenantOverrides(store, () => Date.now())
    let answer: (overrides: NearLimitOverrides) => void = () => {}
    store.getOverrides = () =>
      new Promise((resolve) => {
        answer = resolve
      })
    const reading = overrides.get('acme')

    await new Promise((resolve) => setTimeout(resolve, 2))
    await overrides.put('acme', { freezeAt: 0.5 })
    answer({})

    expect(await reading).toEqual({ freezeAt: 0.5 })
    expect((await chosen(overrides)).freezeAt).toBe(0.5)
  })
})
