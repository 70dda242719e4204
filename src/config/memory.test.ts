// Default budgets as shares of a memory limit. Only the last test reads the limits of this machine.

import { describe, expect, it } from 'vitest'
import { MIB } from './fields.ts'
import { describeMemoryBudgets, type MemoryBudgets, memoryBudgets, memoryRules, readMemoryLimits } from './memory.ts'

const GIB = 1024 * MIB

/** Node's default heap limit in a container of that size (Node 20 and 22). */
const container = (memoryBytes: number, heapBytes: number) => ({ memoryBytes, source: 'container', heapBytes }) as const
const machine = { memoryBytes: 64 * GIB, source: 'machine', heapBytes: 4144 * MIB } as const

const inMib = (budgets: MemoryBudgets) =>
  Object.fromEntries(Object.entries(budgets).map(([name, bytes]) => [name, bytes / MIB]))

describe('memoryBudgets', () => {
  it.each([
    [256 * MIB, 259 * MIB, [8, 16, 16, 16, 16, 8, 8]],
    [512 * MIB, 259 * MIB, [16, 32, 32, 32, 32, 16, 16]],
    [2 * GIB, 1048 * MIB, [64, 128, 128, 32, 128, 64, 16]],
    [8 * GIB, 2096 * MIB, [64, 160, 256, 32, 256, 256, 16]],
  ])('are shares of a container of %i bytes with a heap of %i', (memoryBytes, heapBytes, expected) => {
    const [body, bodies, observed, retained, bases, passages, tracking] = expected

    expect(inMib(memoryBudgets({}, container(memoryBytes, heapBytes)))).toEqual({
      max_body_bytes: body,
      max_body_bytes_in_all: bodies,
      max_observed_bytes_in_all: observed,
      retain_bytes: retained,
      base_window_bytes: bases,
      passage_index_bytes: passages,
      tracking_bytes: tracking,
    })
  })

  it('reach their maximum on a large machine', () => {
    const most = Object.fromEntries(Object.entries(memoryRules).map(([name, { maxBytes }]) => [name, maxBytes]))

    expect(memoryBudgets({}, machine)).toEqual(most)
  })

  it('for the heap follow a smaller heap limit, those for buffers do not', () => {
    expect(inMib(memoryBudgets({}, { ...machine, heapBytes: 256 * MIB }))).toEqual({
      max_body_bytes: 16,
      max_body_bytes_in_all: 32,
      max_observed_bytes_in_all: 256,
      retain_bytes: 32,
      base_window_bytes: 32,
      passage_index_bytes: 256,
      tracking_bytes: 16,
    })
  })

  it('take less than a third of a small container, so that parsed bodies and the process itself fit too', () => {
    const { max_body_bytes: _, ...held } = memoryBudgets({}, container(512 * MIB, 259 * MIB))
    const sum = Object.values(held).reduce((all, bytes) => all + bytes, 0)

    expect(sum).toBeLessThanOrEqual((512 * MIB) / 3)
  })

  it('are whole MiB, at least one', () => {
    expect(inMib(memoryBudgets({}, container(10 * MIB, 259 * MIB)))).toMatchObject({
      retain_bytes: 1,
      tracking_bytes: 1,
    })
  })

  it('are as set, however small the container is', () => {
    const given = { retain_bytes: GIB, tracking_bytes: 3 * MIB }

    expect(memoryBudgets(given, container(256 * MIB, 259 * MIB))).toMatchObject(given)
  })

  it('leave room for the largest body that is set', () => {
    const budgets = memoryBudgets({ max_body_bytes: 100 * MIB }, container(512 * MIB, 259 * MIB))

    expect(inMib(budgets)).toMatchObject({ max_body_bytes: 100, max_body_bytes_in_all: 100 })
  })

  it('allow no body that would not fit the bytes of all bodies that are set', () => {
    const budgets = memoryBudgets({ max_body_bytes_in_all: 8 * MIB }, machine)

    expect(inMib(budgets)).toMatchObject({ max_body_bytes: 8, max_body_bytes_in_all: 8 })
  })
})

describe('describeMemory', () => {
  it('reports the detected limit, and marks what was set', () => {
    expect(describeMemoryBudgets({ retain_bytes: MIB }, container(512 * MIB, 259 * MIB))).toBe(
      'memory    512 MiB (container), JavaScript heap 259 MiB: max_body_bytes 16 MiB, max_body_bytes_in_all 32 MiB, ' +
        'max_observed_bytes_in_all 32 MiB, retain_bytes 1 MiB (set), base_window_bytes 32 MiB, ' +
        'passage_index_bytes 16 MiB, tracking_bytes 16 MiB',
    )
  })
})

describe('readMemoryLimits', () => {
  it('finds plausible limits, whatever Node reports outside a container', () => {
    const { memoryBytes, heapBytes } = readMemoryLimits()

    expect(Number.isSafeInteger(memoryBytes) && memoryBytes > 0).toBe(true)
    expect(heapBytes).toBeGreaterThan(0)
  })
})
