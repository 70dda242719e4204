import { describe, expect, it } from 'vitest'
import type { Caller, TenantChoices } from '../base/tenants.ts'
import { TenantOverrides } from './overrides.ts'

const caller = { tenant: 'acme', policy: { nearLimit: { freezeAt: 0.75, overflow: 'pass' } } } as Caller
const chosen = async (choices: TenantOverrides) => {
  const { freezeAt, overflow } = (await choices.applyTo(caller)).policy.nearLimit
  return { freezeAt, overflow }
}

/** A store of one tenant's overrides that counts its reads. */
function aStore(initial: TenantChoices = {}) {
  const store = {
    choices: initial,
    reads: 0,
    away: false,
    getChoices: async () => {
      store.reads++
      if (store.away) throw new Error('away')
      return store.choices
    },
    putChoices: async (_: string, choices: TenantChoices) => {
      store.choices = choices
    },
  }
  return store
}

describe('TenantOverrides', () => {
  it('override the policy, and are read once', async () => {
    const store = aStore({ overflow: 'reject' })
    const choices = new TenantOverrides(store, () => 0)

    const all = await Promise.all([chosen(choices), chosen(choices)])
    const later = choices.applyTo(caller)

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
    const choices = new TenantOverrides(store, () => Date.now())
    let answer: (choices: TenantChoices) => void = () => {}
    store.getChoices = () =>
      new Promise((resolve) => {
        answer = resolve
      })
    const reading = choices.get('acme')

    await new Promise((resolve) => setTimeout(resolve, 2))
    await choices.put('acme', { freezeAt: 0.5 })
    answer({})

    expect(await reading).toEqual({ freezeAt: 0.5 })
    expect((await chosen(choices)).freezeAt).toBe(0.5)
  })
})
