import { describe, expect, it } from 'vitest'
import { perTenant } from './per-tenant.ts'

const item = (tenant: string, n: number) => ({ tenant, n })

describe('work on many items', () => {
  it('goes on for other tenants while one tenant’s takes long', async () => {
    const done: string[] = []
    let end: () => void = () => {}
    const stuck = new Promise<void>((resolve) => {
      end = resolve
    })
    const all = perTenant([item('a', 1), item('a', 2), item('b', 1), item('b', 2)], async ({ tenant, n }) => {
      if (tenant === 'a') await stuck
      done.push(`${tenant}${n}`)
    })

    await new Promise((resolve) => setImmediate(resolve))
    expect(done).toEqual(['b1', 'b2'])
    end()
    await all

    expect(done).toEqual(['b1', 'b2', 'a1', 'a2'])
  })

  it('rejects once all work in progress has ended, and starts nothing more after an error', async () => {
    const done: string[] = []

    const all = perTenant([item('a', 1), item('a', 2), item('b', 1), item('b', 2)], async ({ tenant, n }) => {
      if (tenant === 'a') throw new Error('no store')
      await new Promise((resolve) => setImmediate(resolve))
      done.push(`${tenant}${n}`)
    })

    await expect(all).rejects.toThrow('no store')
    expect(done).toEqual(['b1'])
  })
})
