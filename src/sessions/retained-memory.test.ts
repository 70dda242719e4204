// Retained turns in memory: each is returned as it was stored, compressed or not, and together they stay within their byte limit.

import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { BURST_BYTES, RetainedMemory } from './retained-memory.ts'
import { HeldTurn, type RetainedTurn } from './retained-turn.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Its text differs from that of any other id in every line. */
const turn = (id: number, bytes: number): RetainedTurn => ({
  dialect: 'chat',
  body: Buffer.from(`message ${id} of the long conversation\n`.repeat(bytes / 30)).subarray(0, bytes),
  reply: [{ role: 'assistant', content: `réponse ${id} 🙂`, tool_calls: null }],
  promptTokens: id,
  clientSalt: 'salt',
  lineage: 'l',
  parent: undefined,
})
/** As text, because buffers are compared byte by byte. */
const readable = (read: RetainedTurn | undefined) => ({ ...read, body: String(read?.body) })
const noise = (bytes: number): RetainedTurn => ({ ...turn(0, 0), body: randomBytes(bytes) })

function remembering(maxBytes: number) {
  const clock = { ms: 0 }
  const memory = new RetainedMemory({ maxBytes, now: () => clock.ms })
  const keep = async (ids: readonly number[], bytes: number) => {
    for (const id of ids) {
      memory.set('acme', String(id), turn(id, bytes))
      await memory.settle()
    }
  }
  const found = (ids: readonly number[]) => ids.filter((id) => memory.get(String(id)) !== undefined)
  return { memory, clock, keep, found }
}

const upTo = (count: number) => Array.from({ length: count }, (_, id) => id)

describe('RetainedMemory', () => {
  it('returns each turn as it was stored, compressed or not', async () => {
    const { memory, keep } = remembering(MIB)
    const ids = upTo(20)
    await keep(ids, 100 * KIB)

    const read = await Promise.all(ids.map((id) => memory.get(String(id))?.read()))

    expect(read.map(readable)).toEqual(ids.map((id) => readable(turn(id, 100 * KIB))))
    expect(memory.bytes).toBeLessThan(MIB / 2)
  })

  it('holds a hundred turns of 512 KB of text within the budget of a 512 MiB container', async () => {
    const { memory, keep, found } = remembering(32 * MIB)
    await keep(upTo(100), 512_000)

    expect(found(upTo(100))).toHaveLength(100)
    expect(memory.bytes).toBeLessThan(32 * MIB)
  })

  it('compresses nothing while memory is mostly free, because an active session would pay for it with each request', async () => {
    const { memory, keep } = remembering(MIB)
    await keep([1, 2], 100 * KIB)

    expect(memory.bytes).toBeGreaterThan(200 * KIB)
  })

  it('compresses the oldest turns first', async () => {
    const { memory, keep } = remembering(MIB)
    await keep([1, 2, 3], 100 * KIB)

    const bytes = [1, 2, 3].map((id) => (memory.get(String(id))?.bytes ?? 0) > 100 * KIB)

    expect(bytes).toEqual([false, true, true])
  })

  it('does not compress small turns', async () => {
    const { memory, keep } = remembering(64 * KIB)
    await keep(upTo(20), 2 * KIB)

    expect(memory.bytes).toBeGreaterThan(20 * 2 * KIB)
  })

  it('keeps an incompressible turn plain, and still compresses the following ones', async () => {
    const { memory, keep } = remembering(MIB)
    memory.set('acme', 'noise', noise(300 * KIB))
    await memory.settle()
    expect(memory.bytes).toBeGreaterThan(300 * KIB)

    await keep(upTo(8), 100 * KIB)

    expect(memory.get('noise')?.bytes).toBeGreaterThan(300 * KIB)
    expect(memory.bytes).toBeLessThan(600 * KIB)
  })

  it('drops the least recently used turns when it is full', async () => {
    const { memory } = remembering(350 * KIB)
    memory.set('acme', 'a', noise(100 * KIB))
    memory.set('acme', 'b', noise(100 * KIB))
    memory.set('acme', 'c', noise(100 * KIB))
    memory.get('a')

    memory.set('acme', 'd', noise(100 * KIB))

    expect(['a', 'b', 'c', 'd'].map((key) => memory.get(key) !== undefined)).toEqual([true, false, true, true])
    await memory.settle()
    expect(memory.bytes).toBeLessThanOrEqual(350 * KIB)
  })

  it('does not count a turn that was dropped or replaced during its compression', async () => {
    const { memory } = remembering(MIB)
    memory.set('acme', 'a', turn(1, 300 * KIB))
    memory.set('acme', 'a', turn(2, 300 * KIB))
    memory.set('acme', 'b', turn(3, 300 * KIB))
    memory.delete('b')
    await memory.settle()

    expect((await memory.get('a')?.read())?.promptTokens).toBe(2)
    memory.delete('a')
    expect(memory.bytes).toBe(0)
  })

  it('can still read a held turn after another one replaced it', async () => {
    const { memory, keep } = remembering(MIB)
    await keep(upTo(10), 100 * KIB)
    const held = memory.get('0')

    memory.set('acme', '0', turn(77, 100))

    expect(readable(await held?.read())).toEqual(readable(turn(0, 100 * KIB)))
  })

  it('compresses no more than a burst at once, and continues as time passes', async () => {
    const { memory, clock } = remembering(4 * BURST_BYTES)
    const large = turn(0, 8 * MIB)
    const keepLarge = async (keys: readonly number[]) => {
      for (const key of keys) memory.set('acme', String(key), large)
      await memory.settle()
    }
    const plain = () => upTo(27).filter((key) => (memory.get(String(key))?.bytes ?? 0) > 8 * MIB).length
    // Eight make up a burst, and eight may stay plain.
    await keepLarge(upTo(26))
    expect(plain()).toBe(26 - 8)

    clock.ms += 1000
    await keepLarge([26])

    expect(plain()).toBe(27 - 9)
  })

  it('keeps neither a turn larger than the whole limit nor the previous turn', () => {
    const { memory } = remembering(MIB)
    memory.set('acme', 'a', turn(1, 100))
    memory.set('acme', 'a', noise(2 * MIB))

    expect([memory.get('a'), memory.bytes]).toEqual([undefined, 0])
  })

  it('takes up only its own bytes, even if its body is a slice of a large buffer', async () => {
    const { memory } = remembering(MIB)
    memory.set('acme', 'a', { ...turn(0, 0), body: Buffer.alloc(8192).subarray(0, 100) })

    expect((await memory.get('a')?.read())?.body.buffer.byteLength).toBe(100)
  })
})

describe('HeldTurn', () => {
  it('stays plain if it cannot be compressed', async () => {
    const held = new HeldTurn({ ...turn(1, 100 * KIB), reply: [1n] as never })
    const before = held.bytes

    await held.pack()

    expect(held.bytes).toBe(before)
    expect((await held.read()).promptTokens).toBe(1)
  })
})
