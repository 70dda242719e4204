// Blocks of lineages for requests without a session: which lineages are used, which requests are in flight, and what an erasure retires.
// Who gets which block is decided in request-lineages.ts.

import type { Sharing } from '../base/records.ts'
import { requestLineage } from '../base/request-lineage.ts'

type BlockFields = Pick<LineageBlock, 'tenant' | 'id' | 'size' | 'shared' | 'until' | 'freshUntil'>

/** Lineages in one space that one order covers. */
export class LineageBlock {
  readonly tenant: string
  /** The lineage that is retired for all. */
  readonly id: string
  readonly size: number
  readonly shared: Sharing | undefined
  /** When the next request gets a new block. */
  readonly until: number
  /** Until when the store need not be asked whether the block is retired. */
  freshUntil: number
  retired = false
  /** No further request gets a lineage of it; those in flight may still use theirs. */
  dropped = false
  #used = 0
  readonly #running = new Set<() => void>()

  constructor(fields: BlockFields) {
    this.tenant = fields.tenant
    this.id = fields.id
    this.size = fields.size
    this.shared = fields.shared
    this.until = fields.until
    this.freshUntil = fields.freshUntil
  }

  /** Whether all of its lineages are used. */
  get isUsedUp(): boolean {
    return this.shared === undefined && this.#used >= this.size
  }

  get isRunning(): boolean {
    return this.#running.size > 0
  }

  /** The next lineage; undefined if all are used, or the block is retired. */
  next(): string | undefined {
    if (this.retired || this.isUsedUp) return undefined
    return this.shared === undefined ? requestLineage(this.id, this.#used++) : this.id
  }

  retire(): void {
    this.retired = true
    for (const abort of [...this.#running]) abort()
  }

  /** Calls `abort` if the block is retired, or is already. `done`: call it when the request ends. */
  addRunning(abort: () => void): { readonly done: () => void } {
    this.#running.add(abort)
    if (this.retired) abort()
    return { done: () => this.#running.delete(abort) }
  }
}

/**
 * Finds blocks by lineage. A shared lineage has several: one for each space, and older ones with requests in flight. Bounded by the caller,
 * which lists the blocks that it keeps, and those with requests in flight.
 */
export class BlocksByLineage {
  readonly #blocks = new Map<string, Set<LineageBlock>>()

  add(block: LineageBlock): void {
    const key = keyOf(block.tenant, block.id)
    const listed = this.#blocks.get(key)
    if (listed === undefined) this.#blocks.set(key, new Set([block]))
    else listed.add(block)
  }

  /** From now on nothing reports a retirement to the block, so it is no longer fresh. */
  remove(block: LineageBlock): void {
    block.freshUntil = Number.NEGATIVE_INFINITY
    const key = keyOf(block.tenant, block.id)
    const listed = this.#blocks.get(key)
    if (listed?.delete(block) === true && listed.size === 0) this.#blocks.delete(key)
  }

  /** Retires all blocks of a lineage. */
  retire(tenant: string, lineage: string): void {
    if (this.#blocks.size === 0) return
    const key = keyOf(tenant, lineage)
    const listed = this.#blocks.get(key)
    this.#blocks.delete(key)
    for (const block of listed ?? []) block.retire()
  }
}

function keyOf(tenant: string, lineage: string): string {
  return JSON.stringify([tenant, lineage])
}
