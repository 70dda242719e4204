// Lineages for requests without a session: embeddings, scores, batches. Each request gets one that nobody else has, or the one that its user
// or tenant shares. Before a lineage is used, the store has an order to delete its KV, so that an erasure can name it after a crash too. One
// order covers a block of lineages: a record per request would cost more than the request. See docs/decisions/0021.

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { DeletionRecord } from '../base/deletion-records.ts'
import { CwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { KvSpace, Sharing } from '../base/records.ts'
import { requestLineage } from '../base/request-lineage.ts'
import type { Store } from '../store/store.ts'
import type { Lineages, Origin } from './lineages.ts'

/** Blocks kept in memory; about a kilobyte each. The unused lineages of a dropped one are lost, which costs nothing. */
const MAX_BLOCKS = 2_000
/** Blocks of the same space grow, so that neither a single request nor a thousand of them write much. */
const FIRST_BLOCK = 4
const GROWTH = 4
const LARGEST_BLOCK = 1_024
/** How long lineages are taken from a block, and when its order is due. In between, its last requests have time to finish. */
const BLOCK_MS = 30 * 60_000
const BLOCK_DUE_MS = 90 * 60_000
/** How long a shared lineage is used before its order is renewed, and when that is due. */
const SHARED_MS = 24 * 3_600_000
const SHARED_DUE_MS = 7 * 24 * 3_600_000

type LineageStore = Pick<Store, 'addDeletion' | 'changeDeletion' | 'isRetired' | 'maxStalenessMs' | 'onChange'>

export interface RequestLineageOptions {
  readonly store: LineageStore
  readonly lineages: Pick<Lineages, 'begin'>
  /** False: there is no KV layer, so there is nothing to delete and no orders are written. */
  readonly keepsKv: boolean
  readonly now: Now
}

/** A lineage that one request may use. */
export interface RequestLineage {
  readonly lineage: string
  /** Who shares it; undefined: nobody, so nothing that it stores is ever loaded. */
  readonly shared: Sharing | undefined
  /** The store was unavailable: no order names its KV. */
  readonly degraded: boolean
  /** Whether the request may be sent, asked at the last moment. */
  mayDispatch(): boolean | Promise<boolean>
  /** Calls back if the lineage is retired meanwhile. Returns a function that stops this. */
  onRetired(abort: () => void): () => void
}

/** Lineages in one space that one order covers. */
class Block {
  readonly tenant: string
  /** The lineage that is retired for all. */
  readonly id: string
  readonly size: number
  readonly shared: Sharing | undefined
  readonly until: number
  readonly degraded: boolean
  freshUntil: number
  retired = false
  /** No further request gets a lineage of it; those in flight may still use theirs. */
  dropped = false
  #used = 0
  readonly #running = new Set<() => void>()

  constructor(fields: Pick<Block, 'tenant' | 'id' | 'size' | 'shared' | 'until' | 'degraded' | 'freshUntil'>) {
    this.tenant = fields.tenant
    this.id = fields.id
    this.size = fields.size
    this.shared = fields.shared
    this.until = fields.until
    this.degraded = fields.degraded
    this.freshUntil = fields.freshUntil
  }

  /** Whether all of its lineages are used. */
  get isUsedUp(): boolean {
    return this.shared === undefined && this.#used >= this.size
  }

  get isRunning(): boolean {
    return this.#running.size > 0
  }

  /** The next lineage; undefined if all are used. */
  next(): string | undefined {
    if (this.shared !== undefined) return this.id
    return this.isUsedUp ? undefined : requestLineage(this.id, this.#used++)
  }

  retire(): void {
    this.retired = true
    for (const abort of [...this.#running]) abort()
  }

  /** `done`: call it when the request ends. */
  addRunning(abort: () => void): { readonly done: () => void } {
    this.#running.add(abort)
    return { done: () => this.#running.delete(abort) }
  }
}

export class RequestLineages {
  readonly #options: RequestLineageOptions
  readonly #blocks = new LRUCache<string, Block>({ max: MAX_BLOCKS, dispose: (block) => this.#drop(block) })
  /** Kept blocks and those with requests in flight, by tenant and lineage. */
  readonly #byLineage = new Map<string, Block>()
  /** Blocks that are being stored, by the same key: requests that arrive meanwhile wait for them. */
  readonly #opening = new Map<string, Promise<Block>>()
  readonly #stopListening: () => void

  constructor(options: RequestLineageOptions) {
    this.#options = options
    this.#stopListening = options.store.onChange((change) => {
      if (change.kind === 'lineage') this.retired(change.tenant, change.lineage)
    })
  }

  close(): void {
    this.#stopListening()
  }

  /** Returns a lineage for one request. If the store is unavailable, nobody shares it. */
  async take(origin: Origin, space: KvSpace): Promise<RequestLineage> {
    const isShared = origin.isolation === 'tenant' || (origin.isolation === 'user' && origin.user !== undefined)
    const key = JSON.stringify([origin.tenant, isShared ? [origin.isolation, origin.user] : null, space])
    for (;;) {
      const block = this.#current(key) ?? (await this.#open(key, origin, space))
      const lineage = block.next()
      if (lineage !== undefined) return this.#lineage(block, lineage)
    }
  }

  /** Retires a lineage: this process dispatches nothing more under it, and aborts requests in flight. */
  retired(tenant: string, lineage: string): void {
    if (this.#byLineage.size === 0) return
    const key = lineageKey(tenant, lineage)
    this.#byLineage.get(key)?.retire()
    this.#byLineage.delete(key)
  }

  #drop(block: Block): void {
    block.dropped = true
    if (!block.isRunning) this.#byLineage.delete(lineageKey(block.tenant, block.id))
  }

  #current(key: string): Block | undefined {
    const block = this.#blocks.get(key)
    if (block === undefined || block.retired || block.isUsedUp || block.until <= this.#options.now()) return undefined
    return block
  }

  #open(key: string, origin: Origin, space: KvSpace): Promise<Block> {
    const running = this.#opening.get(key)
    if (running !== undefined) return running
    const opened = this.#store(this.#blocks.get(key)?.size ?? 0, origin, space)
      .then((block) => {
        this.#blocks.set(key, block)
        this.#byLineage.set(lineageKey(block.tenant, block.id), block)
        return block
      })
      .finally(() => this.#opening.delete(key))
    this.#opening.set(key, opened)
    return opened
  }

  async #store(lastSize: number, origin: Origin, space: KvSpace): Promise<Block> {
    const { store, lineages, now } = this.#options
    const at = now()
    const size = Math.min(LARGEST_BLOCK, Math.max(FIRST_BLOCK, lastSize * GROWTH))
    const { tenant } = origin
    try {
      const { lineage: id, shared } = await lineages.begin(origin)
      await this.#storeOrder({ tenant, id, size, shared, space, at })
      const until = at + (shared === undefined ? BLOCK_MS : SHARED_MS)
      return new Block({ tenant, id, size, shared, until, degraded: false, freshUntil: at + store.maxStalenessMs })
    } catch (error) {
      if (!(error instanceof CwmError) || error.code !== 'STORE_UNAVAILABLE') throw error
      const freshUntil = Number.POSITIVE_INFINITY
      return new Block({
        tenant,
        id: randomId(),
        size: 1,
        shared: undefined,
        until: at + 1,
        degraded: true,
        freshUntil,
      })
    }
  }

  async #storeOrder({ tenant, id, size, shared, space, at }: NewOrder): Promise<void> {
    const { store, keepsKv } = this.#options
    if (!keepsKv) return
    const common = { tenant, kind: 'requests', lineage: id, spaces: [space], pin: 'none', state: 'open', at } as const
    if (shared === undefined) {
      const order = { ...common, id: randomId(), name: String(size), requests: size, tries: 0 }
      await store.addDeletion({ ...order, nextTryAt: at + BLOCK_DUE_MS }, [])
      return
    }
    // One order per shared lineage and space, whichever process writes it.
    const nextTryAt = at + SHARED_DUE_MS
    const orderId = createHash('sha256')
      .update(JSON.stringify([id, space]))
      .digest('base64url')
      .slice(0, 22)
    const order: DeletionRecord = { ...common, id: orderId, name: 'shared', shared, tries: 0, nextTryAt }
    if (!(await store.changeDeletion(tenant, orderId, { state: 'open', tries: 0, nextTryAt }))) {
      await store.addDeletion(order, [])
    }
  }

  #lineage(block: Block, lineage: string): RequestLineage {
    return {
      lineage,
      shared: block.shared,
      degraded: block.degraded,
      mayDispatch: () => this.#mayDispatch(block),
      onRetired: (abort) => {
        const { done } = block.addRunning(abort)
        return () => {
          done()
          if (block.dropped) this.#drop(block)
        }
      },
    }
  }

  #mayDispatch(block: Block): boolean | Promise<boolean> {
    const { store, now } = this.#options
    if (block.retired) return false
    const at = now()
    if (block.freshUntil > at) return true
    return store.isRetired(block.tenant, block.id).then((retired) => {
      if (!retired) block.freshUntil = at + store.maxStalenessMs
      else this.retired(block.tenant, block.id)
      return !retired && !block.retired
    })
  }
}

function lineageKey(tenant: string, lineage: string): string {
  return JSON.stringify([tenant, lineage])
}

interface NewOrder {
  readonly tenant: string
  readonly id: string
  readonly size: number
  readonly shared: Sharing | undefined
  readonly space: KvSpace
  readonly at: number
}
