// Memory budgets that the settings leave open: shares of the memory limit, so that the defaults fit a small container.

import { totalmem } from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { MIB } from './fields.ts'

/** What limits the memory of this process, bytes. */
export interface MemoryLimits {
  /** The container's limit, or the machine's memory if that is less or there is no container. */
  readonly memoryBytes: number
  readonly source: 'container' | 'machine'
  /** The most that V8's heap may grow to: strings and objects. Buffers lie outside. */
  readonly heapBytes: number
}

interface BudgetRule {
  /** The default is one part in so many. */
  readonly divisor: number
  /** The default on a large machine, bytes. */
  readonly maxBytes: number
  /** What it holds becomes strings and objects, so the heap's limit counts as well as the container's. */
  readonly inHeap: boolean
}

/** Each of these settings has a share of memory as its default. */
export const memoryRules = {
  max_body_bytes: { divisor: 32, maxBytes: 64 * MIB, inHeap: true },
  max_body_bytes_in_all: { divisor: 16, maxBytes: 512 * MIB, inHeap: true },
  max_observed_bytes_in_all: { divisor: 16, maxBytes: 256 * MIB, inHeap: false },
  retain_bytes: { divisor: 16, maxBytes: 256 * MIB, inHeap: false },
  base_window_bytes: { divisor: 16, maxBytes: 256 * MIB, inHeap: true },
  tracking_bytes: { divisor: 32, maxBytes: 64 * MIB, inHeap: true },
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
 * The budgets in force, bytes. What is given wins. What is not is a share of memory in whole MiB, at least one. The largest body always
 * fits the bytes of all bodies: of these two, the one that is not given follows the other.
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

/** V8 takes about half of a small container for its heap, so a share of memory is one of twice the heap. */
function shareOf({ divisor, maxBytes, inHeap }: BudgetRule, { memoryBytes, heapBytes }: MemoryLimits): number {
  const whole = inHeap ? Math.min(memoryBytes, 2 * heapBytes) : memoryBytes
  const share = Math.floor(whole / divisor / MIB) * MIB
  return Math.min(maxBytes, Math.max(MIB, share))
}

/** The default of such a setting, in words. */
export function describeMemoryDefault(name: MemorySetting): string {
  const { divisor, maxBytes } = memoryRules[name]
  return `1/${divisor} of memory, at most ${maxBytes}`
}

/** One line for whoever starts cwm: the limits found, and the budgets in force. Those that were given are marked. */
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
