// Default memory budgets. They are shares of the memory limit, so that they fit a small container.

import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { MIB } from './fields.ts'

/** The memory limits of this process, bytes. */
export interface MemoryLimits {
  /** The container's limit, or the machine's memory if that is less or there is no container. */
  readonly memoryBytes: number
  readonly source: 'container' | 'machine'
  /** The maximum size of V8's heap, which holds strings and objects. Buffers are outside it. */
  readonly heapBytes: number
}

interface BudgetRule {
  /** The default is `1/divisor` of memory. */
  readonly divisor: number
  /** Upper limit of the default, bytes. */
  readonly maxBytes: number
  /** Whether its contents become strings and objects, so that the heap limit applies too. */
  readonly inHeap: boolean
}

/** Settings whose default is a share of memory. */
export const memoryRules = {
  max_body_bytes: { divisor: 32, maxBytes: 64 * MIB, inHeap: true },
  max_body_bytes_in_all: { divisor: 16, maxBytes: 160 * MIB, inHeap: true },
  max_observed_bytes_in_all: { divisor: 16, maxBytes: 256 * MIB, inHeap: false },
  retain_bytes: { divisor: 16, maxBytes: 32 * MIB, inHeap: false },
  base_window_bytes: { divisor: 16, maxBytes: 256 * MIB, inHeap: true },
  passage_index_bytes: { divisor: 32, maxBytes: 256 * MIB, inHeap: false },
  tracking_bytes: { divisor: 32, maxBytes: 16 * MIB, inHeap: true },
} as const satisfies Readonly<Record<string, BudgetRule>>

export type MemorySetting = keyof typeof memoryRules
export type MemoryBudgets = Readonly<Record<MemorySetting, number>>
export const memorySettings = Object.keys(memoryRules) as MemorySetting[]

/**
 * Reads the limits. Node finds a container's own limit in cgroup v1 and v2. Where there is none, it reports 0 or 2^64 - 1, depending on
 * its version (nodejs/node#59227).
 */
export function readMemoryLimits(): MemoryLimits {
  const machine = totalmem()
  const constrained = process.constrainedMemory()
  const heapBytes = getHeapStatistics().heap_size_limit
  return constrained > 0 && constrained < machine
    ? { memoryBytes: constrained, source: 'container', heapBytes }
    : { memoryBytes: machine, source: 'machine', heapBytes }
}

/**
 * The effective budgets, bytes: the given ones, and for the others a share of memory in whole MiB, at least one. The largest body always
 * fits into the bytes of all bodies: if only one of these two is given, the other is adjusted to it.
 */
export function memoryBudgets(
  given: Partial<Readonly<Record<MemorySetting, number | undefined>>>,
  limits: MemoryLimits,
): MemoryBudgets {
  const budgetOf = (name: MemorySetting) => given[name] ?? shareOf(memoryRules[name], limits)
  const budgets = Object.fromEntries(memorySettings.map((name) => [name, budgetOf(name)])) as MemoryBudgets
  const { max_body_bytes: body, max_body_bytes_in_all: bodies } = budgets
  return {
    ...budgets,
    ...(given.max_body_bytes === undefined ? { max_body_bytes: Math.min(body, bodies) } : {}),
    ...(given.max_body_bytes_in_all === undefined ? { max_body_bytes_in_all: Math.max(body, bodies) } : {}),
  }
}

/** V8 uses about half of a small container for its heap, so for budgets in the heap, memory counts as at most twice the heap limit. */
function shareOf({ divisor, maxBytes, inHeap }: BudgetRule, { memoryBytes, heapBytes }: MemoryLimits): number {
  const whole = inHeap ? Math.min(memoryBytes, 2 * heapBytes) : memoryBytes
  const share = Math.floor(whole / divisor / MIB) * MIB
  return Math.min(maxBytes, Math.max(MIB, share))
}

/** The default of a memory setting, for help and documentation. */
export function describeMemoryDefault(name: MemorySetting): string {
  const { divisor, maxBytes } = memoryRules[name]
  return `1/${divisor} of memory, at most ${maxBytes}`
}

/** A startup message with the detected limits and the effective budgets. Those that were set are marked. */
export function describeMemoryBudgets(
  given: Partial<Readonly<Record<MemorySetting, number | undefined>>>,
  limits: MemoryLimits,
): string {
  const { memoryBytes, source, heapBytes } = limits
  const budgets = memoryBudgets(given, limits)
  const words = memorySettings.map((name) => {
    return `${name} ${mib(budgets[name])}${given[name] === undefined ? '' : ' (set)'}`
  })
  return `memory    ${mib(memoryBytes)} (${source}), JavaScript heap ${mib(heapBytes)}: ${words.join(', ')}`
}

function mib(bytes: number): string {
  return `${Math.round((10 * bytes) / MIB) / 10} MiB`
}
