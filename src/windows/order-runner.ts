// Executes deletion orders: at once, when the last session leaves a held window, and in the background until nothing is left.

import type { DeletionRecord, DependentSessions } from '../base/deletion-records.ts'
import { type CwmError, toCwmError } from '../base/errors.ts'
import type { Store } from '../store/store.ts'
import { RECHECK_DELAY_MS } from './deletion-orders.ts'
import { type ExecutedDeletion, executeDeletion } from './execute-deletion.ts'
import { executeExpiry } from './execute-expiry.ts'
import { executeRequests } from './execute-requests.ts'
import { leaseKeys, withLease } from './lease.ts'
import type { DeletionParts } from './parts.ts'
import { perTenant } from './per-tenant.ts'

const SLOWEST_RETRY_MS = 3_600_000
/** A lineage that requests share stays in use until its tenant is erased, which executes its order. */
const SHARED_RETRY_MS = 24 * 3_600_000
/** After a week, remaining chunks have been evicted or cannot be verified. */
const GIVE_UP_MS = 7 * 24 * 3_600_000
/** Orders of a tenant in each pass of a run. */
const PER_PASS = 25
const MAX_PASSES = 8
/** Orders read at once. */
const PAGE = 200

export class OrderRunner {
  readonly #parts: DeletionParts
  /** Orders that this process is executing; a run must not start them again. */
  readonly #busy = new Map<string, Promise<DeletionRecord>>()

  constructor(parts: DeletionParts) {
    this.#parts = parts
  }

  /**
   * Executes a new order. `again`: check once more, even if nothing is left now. `waits`: for a slot; without one the order stays open for the
   * next run. Returns the order as it is then.
   */
  async attempt(
    order: DeletionRecord,
    sequences: readonly Uint32Array[],
    again: boolean,
    waits = true,
  ): Promise<DeletionRecord> {
    const { store, now } = this.#parts
    const work = () => this.#execute(order, sequences, again ? now() + RECHECK_DELAY_MS : undefined, waits)
    return (await withLease(store, leaseKeys.deletion(order.id), work).catch(unlessNotBegun)) ?? order
  }

  /** Executes the order of a window that was released with its last session. While others hold the window, the order is not due. */
  async executeReleased(tenant: string, id: string): Promise<void> {
    await this.#busy.get(id)?.catch(unlessNotBegun)
    await this.#resume({ tenant, id }).catch(unlessNotBegun)
  }

  /**
   * Executes open orders that are due: in several passes, each over all tenants, so that a tenant with many does not keep the others waiting.
   * Throws only `STORE_UNAVAILABLE`.
   */
  async run(signal: AbortSignal): Promise<void> {
    const busy = new Set<string>()
    for (let pass = 0; pass < MAX_PASSES && !signal.aborted; pass++) {
      const { listed, tried } = await this.#pass(busy, signal)
      if (pass === 0) this.#parts.metrics.deletionsOpen.set(listed)
      if (tried === 0) return
    }
  }

  /** `busy`: tenants for which no slot came free in this run. They are left to the next one. */
  async #pass(busy: Set<string>, signal: AbortSignal): Promise<{ readonly listed: number; readonly tried: number }> {
    const { store, now } = this.#parts
    let [listed, tried, after] = [0, 0, '']
    while (!signal.aborted) {
      const page = await store.listOpenDeletions(now(), { after, perTenant: PER_PASS, enough: PAGE })
      const last = page.at(-1)
      if (last === undefined) break
      after = last.tenant
      listed += page.length
      await perTenant(page, async (order) => {
        if (signal.aborted || busy.has(order.tenant) || this.#busy.has(order.id)) return
        tried++
        await this.#resume(order).catch((thrown: unknown) => {
          unlessNotBegun(thrown)
          busy.add(order.tenant)
        })
      })
    }
    return { listed, tried }
  }

  /** Reads the order again, because another process may have changed it since it was listed. */
  async #resume({ tenant, id }: Pick<DeletionRecord, 'tenant' | 'id'>): Promise<void> {
    await withLease(this.#parts.store, leaseKeys.deletion(id), () => this.#executeIfDue(tenant, id))
  }

  async #executeIfDue(tenant: string, id: string): Promise<void> {
    const { store, now } = this.#parts
    const order = await store.getDeletion(tenant, id)
    if (order === undefined || order.state === 'done' || order.nextTryAt > now() || this.#busy.has(id)) return
    await this.#execute(order, await store.getDeletionSequences(tenant, id), undefined)
  }

  /** `again`: when to check once more even if nothing is left now. */
  async #execute(
    order: DeletionRecord,
    sequences: readonly Uint32Array[],
    again: number | undefined,
    waitsForSlot = true,
  ): Promise<DeletionRecord> {
    const work = this.#executeOnce(order, sequences, again, waitsForSlot)
    this.#busy.set(order.id, work)
    return await work.finally(() => this.#busy.delete(order.id))
  }

  async #executeByKind(order: DeletionRecord, sequences: readonly Uint32Array[]): Promise<ExecutedDeletion> {
    if (order.kind === 'sessions') return await executeExpiry(this.#parts, order)
    if (order.kind === 'requests') return await executeRequests(this.#parts, order)
    return await executeDeletion(this.#parts, order, sequences, await findHolders(this.#parts.store, order))
  }

  async #executeOnce(
    order: DeletionRecord,
    sequences: readonly Uint32Array[],
    again: number | undefined,
    waitsForSlot: boolean,
  ): Promise<DeletionRecord> {
    const { store } = this.#parts
    try {
      const execute = () => this.#executeByKind(order, sequences)
      const slot = { waits: waitsForSlot }
      const executed = await this.#parts.deleteSlots.run(order.tenant, execute, slot)
      const change = this.#outcomeOf(order, executed, again)
      await store.changeDeletion(order.tenant, order.id, change)
      this.#report(order, executed, change.tries)
      const next = { ...order, ...change }
      if (executed.receipt.heldBy === undefined) return next
      // The window may have been released meanwhile. Whoever released it left the order to this process, which had its lease.
      const stored = await store.getDeletion(order.tenant, order.id)
      return stored === undefined || stored.heldWindow !== undefined
        ? next
        : ((await this.#executeOnce(stored, sequences, again, waitsForSlot).catch(unlessNotBegun)) ?? stored)
    } catch (thrown) {
      const error = toCwmError(thrown)
      if (error.code === 'STORE_UNAVAILABLE' || isNotBegun(error)) throw error
      this.#parts.log.error({ delete: order.id, err: error }, 'deletion failed; it will be retried')
      // Later, so that it does not stand before the tenant's other orders.
      const change = { tries: order.tries + 1, nextTryAt: this.#parts.now() + this.#delayOf(order) }
      await store.changeDeletion(order.tenant, order.id, change)
      return { ...order, ...change }
    }
  }

  /** What an attempt changes in its order: done, or when it is tried again. */
  #outcomeOf(order: DeletionRecord, { receipt, unpinned, waits }: ExecutedDeletion, again: number | undefined) {
    const { now } = this.#parts
    // It was held until now, so its week begins now.
    const isReleased = order.receipt?.heldBy !== undefined && receipt.heldBy === undefined
    const releasedAt = isReleased ? now() : order.releasedAt
    const isExpired = !waits && now() - (releasedAt ?? order.at) > GIVE_UP_MS
    const isDone = isClean({ receipt, unpinned }) && !waits && again === undefined
    const isShared = order.kind === 'requests' && !receipt.lineageRetired
    const delay = isShared ? SHARED_RETRY_MS : this.#delayOf(order)
    return {
      tries: order.tries + 1,
      receipt,
      ...(releasedAt === undefined ? {} : { releasedAt }),
      ...(unpinned ? { pin: 'none' as const } : {}),
      ...(isDone || isExpired
        ? { state: 'done' as const, ...(order.lineages === undefined ? {} : { lineages: [] }) }
        : { state: 'open' as const, nextTryAt: again ?? now() + delay }),
    }
  }

  #delayOf({ tries }: DeletionRecord): number {
    return Math.min(this.#parts.retryMs * 2 ** tries, SLOWEST_RETRY_MS)
  }

  #report(order: DeletionRecord, executed: ExecutedDeletion, tries: number): void {
    const { log, metrics } = this.#parts
    const { deletedChunks, residualChunks, lineageRetired } = executed.receipt
    metrics.deletions.inc({ outcome: isClean(executed) ? 'clean' : residualChunks === null ? 'unproved' : 'residue' })
    metrics.deletedChunks.inc(deletedChunks - (order.receipt?.deletedChunks ?? 0))
    log.info({ delete: order.id, kind: order.kind, deletedChunks, residualChunks, lineageRetired, tries }, 'deleted')
  }
}

/** No slot was free, or cwm is stopping. Nothing was done yet, and the order is unchanged. */
function isNotBegun({ code }: CwmError): boolean {
  return code === 'OVERLOADED' || code === 'SHUTTING_DOWN'
}

function unlessNotBegun(thrown: unknown): undefined {
  if (!isNotBegun(toCwmError(thrown))) throw thrown
  return undefined
}

function isClean({ receipt, unpinned }: Pick<ExecutedDeletion, 'receipt' | 'unpinned'>): boolean {
  return receipt.residualChunks === 0 && unpinned
}

/** The sessions that keep the text of a deleted window; undefined if there are none. */
async function findHolders(store: Store, order: DeletionRecord): Promise<DependentSessions | undefined> {
  const { tenant, heldWindow } = order
  const held = heldWindow === undefined ? undefined : await store.getHeldWindow(tenant, heldWindow)
  if (held === undefined) return undefined
  const dependents = await store.recountSessionsOn(held.window)
  if (dependents.count > 0) return dependents
  await store.releaseWindow(tenant, held.window.id)
  return undefined
}
