// When cwm sets a salt's quota in LMCache, and when it makes no call.

import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { KvLink } from './kv.ts'
import { type QuotaParts, SaltQuotas } from './quotas.ts'

interface Setup {
  readonly requiresQuotas?: boolean
  readonly ensureSpace?: () => Promise<string[]>
}

const expects = { pin: true, quota: true }

async function quotasOf({ requiresQuotas = true, ensureSpace = async () => [] }: Setup = {}) {
  const told: string[] = []
  const lines: string[] = []
  const clock = { now: 0 }
  const link = {
    capabilities: { quota: requiresQuotas },
    ensureSpace: (salt: string, gb: number) => {
      told.push(`${salt}=${gb}`)
      return ensureSpace()
    },
    dropSpace: async (salt: string) => {
      told.push(`-${salt}`)
      return []
    },
  }
  const kv = { expects, open: vi.fn(async () => link as unknown as KvLink) }
  const log = { warn: () => lines.push('warn'), info: () => lines.push('info') } as unknown as QuotaParts['log']
  const quotas = new SaltQuotas({ kv, log, now: () => clock.now })
  await Promise.resolve()
  return { quotas, told, lines, clock, kv }
}

describe('SaltQuotas', () => {
  it('makes no call to an LMCache that requires no quotas, and does not delay the request', async () => {
    const { quotas, told } = await quotasOf({ requiresQuotas: false })

    expect(quotas.ensure('a', 8)).toBeUndefined()
    await quotas.remove('a')
    expect(told).toEqual([])
  })

  it('does not call LMCache on a request before its configuration is known', () => {
    const open = vi.fn(() => new Promise<never>(() => {}))
    const quotas = new SaltQuotas({
      kv: { expects, open },
      log: {} as QuotaParts['log'],
      now: () => 0,
    })

    expect(quotas.ensure('a', 8)).toBeUndefined()
    expect(open).toHaveBeenCalledTimes(1)
  })

  it('sets the quota once per salt, and makes concurrent requests wait for it', async () => {
    let taken = () => {}
    const answer = new Promise<string[]>((resolve) => {
      taken = () => resolve([])
    })
    const { quotas, told } = await quotasOf({ ensureSpace: () => answer })

    const waiting = [quotas.ensure('a', 8), quotas.ensure('a', 8)]
    expect(waiting.every((wait) => wait instanceof Promise)).toBe(true)
    taken()
    await Promise.all(waiting)

    expect(quotas.ensure('a', 8)).toBeUndefined()
    await quotas.ensure('b', 2)
    expect(told).toEqual(['a=8', 'b=2'])
  })

  it('sets it again in the background while the salt is in use, because a restarted server has lost it', async () => {
    const { quotas, told, clock } = await quotasOf()
    await quotas.ensure('a', 8)

    clock.now = 60_000

    expect(quotas.ensure('a', 8)).toBeUndefined()
    expect(told).toEqual(['a=8', 'a=8'])
  })

  it('stops waiting for an LMCache that hangs', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const { quotas } = await quotasOf({ ensureSpace: () => new Promise(() => {}) })
    let over = false
    const waiting = quotas.ensure('a', 8)?.then(() => {
      over = true
    })

    await vi.advanceTimersByTimeAsync(999)
    expect(over).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await waiting
    expect(over).toBe(true)
  })

  it.each([
    ['refuses', async () => ['server a: 500']],
    ['does not answer', () => Promise.reject(new CwmError('LMCACHE_UNREACHABLE', 'gone'))],
  ])('forwards the request when LMCache %s, warns once, and tries again later', async (_, ensureSpace) => {
    const { quotas, told, lines, clock } = await quotasOf({ ensureSpace })

    await quotas.ensure('a', 8)
    await quotas.ensure('b', 8)
    expect(quotas.ensure('a', 8)).toBeUndefined()
    clock.now = 5_000
    expect(quotas.ensure('a', 8)).toBeUndefined()

    expect(told).toEqual(['a=8', 'b=8', 'a=8'])
    expect(lines).toEqual(['warn'])
  })

  it('removes the quota of a retired salt', async () => {
    const { quotas, told } = await quotasOf()
    await quotas.ensure('a', 8)

    await quotas.remove('a')

    expect(told).toEqual(['a=8', '-a'])
  })

  it('checks LMCache again after a while, however many requests arrive', async () => {
    const { quotas, kv, clock } = await quotasOf()
    for (let i = 0; i < 100; i++) void quotas.ensure('a', 8)
    expect(kv.open).toHaveBeenCalledTimes(1)

    clock.now = 10_000
    for (let i = 0; i < 100; i++) void quotas.ensure('a', 8)
    expect(kv.open).toHaveBeenCalledTimes(2)
  })
})
