// The last turn of each session: in memory or in the store, bounded, and never replaced by an earlier one.

import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import { silentLogger } from '../base/logger.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import { type Retain, type RetainedTurn, RetainedTurns } from './retained.ts'

const turn = (size: number, reply: readonly JsonValue[] = []): RetainedTurn => ({
  dialect: 'chat',
  body: Buffer.alloc(size),
  reply,
  promptTokens: size,
  clientSalt: undefined,
  lineage: 'l',
  parent: undefined,
})

/** A body of one byte represents a turn that is not a whole prompt. */
function promptOf({ body, lineage }: RetainedTurn): RetainedPrompt {
  const messages = body.length === 1 ? [] : [{ role: 'user', content: 'x' }]
  return {
    prompt: { dialect: 'chat', model: 'm', messages, shaping: {} },
    replyAt: 0,
    promptTokens: body.length,
    lineage,
  }
}

function retaining(retain: Retain, maxBytes = 100_000) {
  const stored = new Map<string, RetainedPrompt>()
  const store = {
    putRetained: async (tenant: string, id: string, prompt: RetainedPrompt) =>
      void stored.set(`${tenant} ${id}`, prompt),
    getRetained: async (tenant: string, id: string) => stored.get(`${tenant} ${id}`),
  }
  const turns = new RetainedTurns({ retain, maxBytes, store, promptOf, log: silentLogger, now: () => 0 })
  return { turns, stored, sizeOf: async (tenant: string, id: string) => (await turns.find(tenant, id))?.promptTokens }
}

describe('RetainedTurns', () => {
  it.each(['memory', 'disk'] as const)('keep the last turn of each session of each tenant (%s)', async (retain) => {
    const { turns, sizeOf } = retaining(retain)
    turns.keep('a', 's', turn(2))
    turns.keep('a', 's', turn(3))
    turns.keep('b', 's', turn(4))

    expect([await sizeOf('a', 's'), await sizeOf('b', 's'), await sizeOf('c', 's')]).toEqual([3, 4, undefined])
  })

  it.each(['memory', 'disk'] as const)(
    'give out no earlier turn for one that is no whole prompt (%s)',
    async (retain) => {
      const { turns, sizeOf } = retaining(retain)
      turns.keep('a', 's', turn(2))
      turns.keep('a', 's', turn(1))

      expect(await sizeOf('a', 's')).toBeUndefined()
    },
  )

  it('are kept nowhere if `retain` is off, and not in the store if it is memory', async () => {
    const off = retaining('off')
    const memory = retaining('memory')
    for (const { turns } of [off, memory]) turns.keep('a', 's', turn(2))

    expect([await off.sizeOf('a', 's'), off.stored.size, memory.stored.size]).toEqual([undefined, 0, 0])
  })

  it('drop the least recently used sessions when memory is full', async () => {
    const { turns, sizeOf } = retaining('memory', 10_000)
    for (const id of ['1', '2', '3']) turns.keep('t', id, turn(3000))

    expect([await sizeOf('t', '1'), await sizeOf('t', '2'), await sizeOf('t', '3')]).toEqual([undefined, 3000, 3000])
  })

  it('of a tenant stay when another fills memory with its own', async () => {
    const { turns, sizeOf } = retaining('memory', 100_000)
    for (const id of ['1', '2', '3']) turns.keep('honest', id, turn(3000))

    for (let n = 0; n < 50; n++) turns.keep('junk', `${n}`, turn(20_000))

    expect(await Promise.all(['1', '2', '3'].map((id) => sizeOf('honest', id)))).toEqual([3000, 3000, 3000])
    expect(await sizeOf('junk', '49')).toBe(20_000)
  })

  it('too large for what others leave are not kept, and displace no smaller ones of their tenant', async () => {
    const { turns, sizeOf } = retaining('memory', 100_000)
    turns.keep('honest', '1', turn(40_000))
    for (const id of ['1', '2', '3']) turns.keep('junk', id, turn(5000))

    turns.keep('junk', 'large', turn(70_000))

    expect(await sizeOf('honest', '1')).toBe(40_000)
    expect(await Promise.all(['1', '2', '3', 'large'].map((id) => sizeOf('junk', id)))).toEqual([
      5000,
      5000,
      5000,
      undefined,
    ])
  })

  it('that wait for the store leave room for those of other tenants', () => {
    const kept: string[] = []
    const store = {
      putRetained: (tenant: string) => {
        kept.push(tenant)
        return new Promise<never>(() => {})
      },
      getRetained: () => Promise.resolve(undefined),
    }
    const lost: unknown[] = []
    const log = { ...silentLogger, error: (line: unknown) => void lost.push(line) }
    const turns = new RetainedTurns({ retain: 'disk', maxBytes: 100_000, store, promptOf, log, now: () => 0 })
    for (let n = 0; n < 50; n++) turns.keep('junk', `${n}`, turn(4000))
    const before = lost.length

    for (const id of ['1', '2']) turns.keep('honest', id, turn(4000))

    expect(before).toBeGreaterThan(0)
    expect(lost).toHaveLength(before)
  })

  it('drop an earlier turn rather than return it as the last one, if the last one is too large', async () => {
    const { turns, sizeOf } = retaining('memory', 10_000)
    turns.keep('t', 's', turn(100))
    turns.keep('t', 's', turn(20_000))

    expect(await sizeOf('t', 's')).toBeUndefined()
  })

  it('are returned as of the request, even if the next one arrives during the read', async () => {
    const { turns, sizeOf } = retaining('disk')
    turns.keep('t', 's', turn(100))
    await turns.settle()

    const before = sizeOf('t', 's')
    turns.keep('t', 's', turn(200))

    expect([await before, await sizeOf('t', 's')]).toEqual([100, 200])
  })

  it('do not pile up while the store hangs', () => {
    let lost = 0
    const log = { ...silentLogger, error: () => void lost++ }
    const store = { putRetained: () => new Promise<never>(() => {}), getRetained: () => Promise.resolve(undefined) }
    const turns = new RetainedTurns({ retain: 'disk', maxBytes: 10_000, store, promptOf, log, now: () => 0 })

    for (const id of ['1', '2', '3', '4']) turns.keep('t', id, turn(4000))

    // One takes up nearly half, and leaves as much for other tenants.
    expect(lost).toBe(3)
  })

  it('do not keep a reply that is nested too deeply for the stack', async () => {
    const { turns, sizeOf } = retaining('memory', 100_000_000)
    turns.keep('t', 's', turn(100))
    turns.keep('t', 's', turn(100, JSON.parse('['.repeat(200_000) + ']'.repeat(200_000)) as JsonValue[]))

    expect(await sizeOf('t', 's')).toBeUndefined()
  })
})
