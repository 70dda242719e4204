// Retained turns in memory: each comes back as it was kept, compressed or not, and together they stay within their bytes.

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
/** As text: buffers are compared byte by byte. */
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
  it('gives each turn back as it was kept, compressed or not', async () => {
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

  it('compresses nothing while there is much room, or a turn at work would pay for each of its requests', async () => {
    const { memory, keep } = remembering(MIB)
    await keep([1, 2], 100 * KIB)

    expect(memory.bytes).toBeGreaterThan(200 * KIB)
  })

  it('compresses those first that were kept longest ago', async () => {
    const { memory, keep } = remembering(MIB)
    await keep([1, 2, 3], 100 * KIB)

    const bytes = [1, 2, 3].map((id) => (memory.get(String(id))?.bytes ?? 0) > 100 * KIB)

    expect(bytes).toEqual([false, true, true])
  })

  it('leaves small turns as they are', async () => {
    const { memory, keep } = remembering(64 * KIB)
    await keep(upTo(20), 2 * KIB)

    expect(memory.bytes).toBeGreaterThan(20 * 2 * KIB)
  })

  it('leaves as it is what does not become smaller, and still compresses what follows', async () => {
    const { memory, keep } = remembering(MIB)
    memory.set('acme', 'noise', noise(300 * KIB))
    await memory.settle()
    expect(memory.bytes).toBeGreaterThan(300 * KIB)

    await keep(upTo(8), 100 * KIB)

    expect(memory.get('noise')?.bytes).toBeGreaterThan(300 * KIB)
    expect(memory.bytes).toBeLessThan(600 * KIB)
  })

  it('drops the turns that were used longest ago when it is full', async () => {
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

  it('never counts a turn that was dropped or replaced while it was compressed', async () => {
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

  it('lets a turn that was taken hold of be read after another took its place', async () => {
    const { memory, keep } = remembering(MIB)
    await keep(upTo(10), 100 * KIB)
    const held = memory.get('0')

    memory.set('acme', '0', turn(77, 100))

    expect(readable(await held?.read())).toEqual(readable(turn(0, 100 * KIB)))
  })

  it('compresses no more than a burst at once, and goes on as time passes', async () => {
    const { memory, clock } = remembering(4 * BURST_BYTES)
    const large = turn(0, 8 * MIB)
    const keepLarge = async (keys: readonly number[]) => {
      for (const key of keys) memory.set('acme', String(key), large)
      await memory.settle()
    }
    const plain = () => upTo(27).filter((key) => (memory.get(String(key))?.bytes ?? 0) > 8 * MIB).length
    // Eight are a burst, and eight may stay as they are.
    await keepLarge(upTo(26))
    expect(plain()).toBe(26 - 8)

    clock.ms += 1000
    await keepLarge([26])

    expect(plain()).toBe(27 - 9)
  })

  it('keeps no turn of more than all its bytes, nor the turn before it', () => {
    const { memory } = remembering(MIB)
    memory.set('acme', 'a', turn(1, 100))
    memory.set('acme', 'a', noise(2 * MIB))

    expect([memory.get('a'), memory.bytes]).toEqual([undefined, 0])
  })

  it('takes up no more than its own bytes, however large the slab is that its body came in', async () => {
    const { memory } = remembering(MIB)
    memory.set('acme', 'a', { ...turn(0, 0), body: Buffer.alloc(8192).subarray(0, 100) })

    expect((await memory.get('a')?.read())?.body.buffer.byteLength).toBe(100)
  })
})

describe('HeldTurn', () => {
  it('stays as it is when it cannot be compressed', async () => {
    const held = new HeldTurn({ ...turn(1, 100 * KIB), reply: [1n] as never })
    const before = held.bytes

    await held.pack()

    expect(held.bytes).toBe(before)
    expect((await held.read()).promptTokens).toBe(1)
  })
})
