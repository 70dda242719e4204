// Lineages for requests without a session: embeddings, scores, batches. Each request gets one that nobody else has, or the one that its user
// or tenant shares. Before a lineage is used, the store has an order to delete its KV, so that an erasure can name it after a crash too. One
// order covers a block of lineages: a record per request would cost more than the request. See docs/decisions/0021.

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import type { DeletionRecord } from '../base/deletion-records.ts'
import { isStoreUnavailable } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { KvSpace, Sharing } from '../base/records.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { Store } from '../store/store.ts'
import { BlocksByLineage, LineageBlock } from './lineage-blocks.ts'
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
  /** Whether the request may be sent, asked at the last moment. Throws `STORE_UNAVAILABLE` if only the store knows, and does not answer. */
  mayDispatch(): boolean | Promise<boolean>
  /** Calls back if the lineage is retired meanwhile. Returns a function that stops this. */
  onRetired(abort: () => void): () => void
}

export class RequestLineages {
  readonly #options: RequestLineageOptions
  readonly #blocks = new LRUCache<string, LineageBlock>({ max: MAX_BLOCKS, dispose: (block) => this.#drop(block) })
  /** Kept blocks, those that are being stored, and those with requests in flight. */
  readonly #byLineage = new BlocksByLineage()
  /** Blocks that are being stored, by the same key: requests that arrive meanwhile wait for them. */
  readonly #opening = new SingleFlight<LineageBlock>()
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
    const key = blockKey(origin, space)
    try {
      for (;;) {
        const block = this.#current(key) ?? (await this.#open(key, origin, space))
        // Asked here and not only before the dispatch: without a store the request can still get another lineage.
        if (!this.#isFresh(block)) await this.#ask(block)
        const lineage = block.next()
        if (lineage !== undefined) return this.#lineage(block, lineage)
      }
    } catch (error) {
      if (!isStoreUnavailable(error)) throw error
      return unnamedLineage()
    }
  }

  /** Retires a lineage: this process dispatches nothing more under it, and aborts requests in flight. */
  retired(tenant: string, lineage: string): void {
    this.#byLineage.retire(tenant, lineage)
  }

  #drop(block: LineageBlock): void {
    block.dropped = true
    if (!block.isRunning) this.#byLineage.remove(block)
  }

  #current(key: string): LineageBlock | undefined {
    const block = this.#blocks.get(key)
    if (block === undefined || block.retired || block.isUsedUp || block.until <= this.#options.now()) return undefined
    return block
  }

  #open(key: string, origin: Origin, space: KvSpace): Promise<LineageBlock> {
    return this.#opening.run(key, async () => {
      const block = await this.#store(this.#blocks.get(key)?.size ?? 0, origin, space)
      this.#blocks.set(key, block)
      return block
    })
  }

  async #store(lastSize: number, origin: Origin, space: KvSpace): Promise<LineageBlock> {
    const { store, lineages, now } = this.#options
    const at = now()
    const size = Math.min(LARGEST_BLOCK, Math.max(FIRST_BLOCK, lastSize * GROWTH))
    const { tenant } = origin
    const { lineage: id, shared } = await lineages.begin(origin)
    const until = at + (shared === undefined ? BLOCK_MS : SHARED_MS)
    const block = new LineageBlock({ tenant, id, size, shared, until, freshUntil: at + store.maxStalenessMs })
    // Before its order is stored: an erasure may execute that order at once.
    this.#byLineage.add(block)
    try {
      await this.#storeOrder({ tenant, id, size, shared, space, at })
    } catch (error) {
      this.#byLineage.remove(block)
      throw error
    }
    return block
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

  #lineage(block: LineageBlock, lineage: string): RequestLineage {
    return {
      lineage,
      shared: block.shared,
      degraded: false,
      mayDispatch: () => !block.retired && (this.#isFresh(block) || this.#ask(block)),
      onRetired: (abort) => {
        const { done } = block.addRunning(abort)
        if (block.dropped) this.#byLineage.add(block)
        return () => {
          done()
          if (block.dropped) this.#drop(block)
        }
      },
    }
  }

  #isFresh(block: LineageBlock): boolean {
    return block.freshUntil > this.#options.now()
  }

  /** Asks the store whether the block may be used, and retires it if not. Throws `STORE_UNAVAILABLE`. */
  async #ask(block: LineageBlock): Promise<boolean> {
    const { store, now } = this.#options
    const at = now()
    if (await store.isRetired(block.tenant, block.id)) {
      this.retired(block.tenant, block.id)
      // It may no longer be listed.
      block.retire()
    } else if (!block.dropped) block.freshUntil = at + store.maxStalenessMs
    return !block.retired
  }
}

/** By whom and for what a block is used. A hash, because users may be named by megabytes. */
function blockKey({ tenant, isolation, user }: Origin, space: KvSpace): string {
  const sharer =
    isolation === 'tenant' ? ['tenant'] : isolation === 'user' && user !== undefined ? ['user', user] : null
  return createHash('sha256')
    .update(JSON.stringify([tenant, sharer, space]))
    .digest('base64url')
}

/** For one request while the store is unavailable. No order names its KV. */
export function unnamedLineage(): RequestLineage {
  return {
    lineage: randomId(),
    shared: undefined,
    degraded: true,
    mayDispatch: () => true,
    onRetired: () => () => {},
  }
}

interface NewOrder {
  readonly tenant: string
  readonly id: string
  readonly size: number
  readonly shared: Sharing | undefined
  readonly space: KvSpace
  readonly at: number
}
