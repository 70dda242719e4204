// When LMCache is told the quota of a salt, and when it is left alone.

import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { KvLink } from './kv.ts'
import { type QuotaParts, SaltQuotas } from './quotas.ts'

interface Setup {
  readonly demandsQuotas?: boolean
  readonly ensureSpace?: () => Promise<string[]>
}

const expects = { pin: true, quota: true }

async function quotasOf({ demandsQuotas = true, ensureSpace = async () => [] }: Setup = {}) {
  const told: string[] = []
  const lines: string[] = []
  const clock = { now: 0 }
  const link = {
    capabilities: { quota: demandsQuotas },
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
  it('leaves alone an LMCache that demands none, and does not make the request wait', async () => {
    const { quotas, told } = await quotasOf({ demandsQuotas: false })

    expect(quotas.ensure('a', 8)).toBeUndefined()
    await quotas.remove('a')
    expect(told).toEqual([])
  })

  it('does not ask LMCache anything on a request before it knows LMCache', () => {
    const open = vi.fn(() => new Promise<never>(() => {}))
    const quotas = new SaltQuotas({
      kv: { expects, open },
      log: {} as QuotaParts['log'],
      now: () => 0,
    })

    expect(quotas.ensure('a', 8)).toBeUndefined()
    expect(open).toHaveBeenCalledTimes(1)
  })

  it('tells the quota once per salt, and lets requests that come meanwhile wait for it too', async () => {
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

  it('tells it again, behind the request, while the salt is in use: a server that restarts has forgotten it', async () => {
    const { quotas, told, clock } = await quotasOf()
    await quotas.ensure('a', 8)

    clock.now = 60_000

    expect(quotas.ensure('a', 8)).toBeUndefined()
    expect(told).toEqual(['a=8', 'a=8'])
  })

  it('gives up waiting for an LMCache that hangs', async () => {
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
  ])('lets the request go when LMCache %s, says so once, and tries again later', async (_, ensureSpace) => {
    const { quotas, told, lines, clock } = await quotasOf({ ensureSpace })

    await quotas.ensure('a', 8)
    await quotas.ensure('b', 8)
    expect(quotas.ensure('a', 8)).toBeUndefined()
    clock.now = 5_000
    expect(quotas.ensure('a', 8)).toBeUndefined()

    expect(told).toEqual(['a=8', 'b=8', 'a=8'])
    expect(lines).toEqual(['warn'])
  })

  it('takes the quota of a retired salt back', async () => {
    const { quotas, told } = await quotasOf()
    await quotas.ensure('a', 8)

    await quotas.remove('a')

    expect(told).toEqual(['a=8', '-a'])
  })

  it('looks at LMCache anew in a while, however many requests come', async () => {
    const { quotas, kv, clock } = await quotasOf()
    for (let i = 0; i < 100; i++) void quotas.ensure('a', 8)
    expect(kv.open).toHaveBeenCalledTimes(1)

    clock.now = 10_000
    for (let i = 0; i < 100; i++) void quotas.ensure('a', 8)
    expect(kv.open).toHaveBeenCalledTimes(2)
  })
})
