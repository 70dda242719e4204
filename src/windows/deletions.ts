// Deletion: remove, then prove. Removing the item from the store also stores an order for the KV it left behind. The order is executed at
// once if possible, and retried in the background until nothing is left. The engine's own cache is left to its own eviction.

import { CwmError, toCwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { DeletionRecord, KvSpace, SessionRecord, WindowRecord } from '../base/records.ts'
import type { Page, PageRequest } from '../store/store.ts'
import { windowNotFound } from './base-windows.ts'
import { newOrder, RECHECK_DELAY_MS, sessionOrder } from './deletion-orders.ts'
import { type ExecutedDeletion, executeDeletion } from './execute-deletion.ts'
import { executeExpiry } from './execute-expiry.ts'
import { executeRequests } from './execute-requests.ts'
import { leaseKeys, withLease } from './lease.ts'
import { deletionOutcome, runAudited } from './operation-audit.ts'
import { type DeletionParts, spaceOf } from './parts.ts'
import type { Windows } from './windows.ts'

/** How long a deletion waits for a freeze of the same window. */
const SETTLE_MS = 20_000
const SLOWEST_RETRY_MS = 3_600_000
/** A lineage that requests share stays in use until its tenant is erased, which executes its order. */
const SHARED_RETRY_MS = 24 * 3_600_000
/** After a week, remaining chunks have been evicted or cannot be verified. */
const GIVE_UP_MS = 7 * 24 * 3_600_000
const PER_RUN = 200
const REQUESTS_PAGE = 100
/** Older epochs under which a window may have left KV. */
const MAX_EPOCHS = 16

export type EndedWhy = 'asked' | 'idle' | 'erased'
/** `budget`: an automatic window beyond the limit. */
export type DeletedWhy = 'asked' | 'budget' | 'erased'

interface DeletedWindow {
  readonly done: DeletionRecord
  /** The session that the window was frozen from. */
  readonly session: string | undefined
}

export class Deletions {
  readonly #parts: DeletionParts
  readonly #windows: Windows
  /** Orders that this process is executing; a run must not start them again. */
  readonly #busy = new Set<string>()

  constructor(parts: DeletionParts, windows: Windows) {
    this.#parts = parts
    this.#windows = windows
  }

  /** Deletes a window and returns what was proven. Throws `WINDOW_NOT_FOUND`, `WINDOW_NOT_READY` while it is being frozen, and what the store throws. */
  async deleteWindow(tenant: string, name: string, why: DeletedWhy, actor: string): Promise<DeletionRecord> {
    const operation = { tenant, actor, action: 'delete', target: 'window', name } as const
    // A freeze waits for the name, not for the KV.
    const work = () => this.#deleteWindow(tenant, name, why !== 'budget')
    const outcome = ({ done, session }: DeletedWindow) => deletionOutcome(done, why, session)
    return (await runAudited(this.#parts, operation, work, outcome)).done
  }

  async #deleteWindow(tenant: string, name: string, waits: boolean): Promise<DeletedWindow> {
    const { store } = this.#parts
    const view = await this.#windows.showSettled(tenant, name, SETTLE_MS)
    if (view.state === 'pending' || this.#windows.isBusy(view.id)) throw beingFrozen(name)
    const ordered = await withLease(store, leaseKeys.window(view.id), () => this.#removeWindow(view))
    if (ordered === undefined) throw beingFrozen(name)
    return { done: await this.#attempt(ordered.order, ordered.sequences, false, waits), session: view.sessionId }
  }

  async #removeWindow(record: WindowRecord) {
    const { store, now, retryMs } = this.#parts
    const { tenant, name } = record
    const content = await store.getWindowContent(tenant, name, record.id)
    const order: DeletionRecord = {
      ...newOrder('window', record, name, now(), retryMs),
      // If an older epoch still holds the pin, the record's epoch names it. Chunks may exist under every epoch.
      spaces: epochsOf(record, this.#parts.kvEpoch),
      pin: record.pin,
      ...(record.keys === undefined ? {} : { keys: record.keys }),
    }
    const sequences = content === undefined || content.tokenIds.length === 0 ? [] : [content.tokenIds]
    if (!(await store.removeWindow(record, order, sequences))) throw windowNotFound(name)
    this.#windows.notifyWaiters(tenant, name)
    return { order, sequences }
  }

  /**
   * Ends a session: aborts its turns in flight and deletes its chunks, except those that windows hold. Returns undefined if the session is
   * gone or had a turn since it was read.
   */
  endSession(session: SessionRecord, why: EndedWhy, actor: string): Promise<DeletionRecord | undefined> {
    const { tenant, id: name } = session
    const operation = { tenant, actor, action: 'end', target: 'session', name } as const
    const work = () => this.#endSession(session, why)
    return runAudited(this.#parts, operation, work, (done) => deletionOutcome(done, why))
  }

  async #endSession(session: SessionRecord, why: EndedWhy): Promise<DeletionRecord | undefined> {
    const { store, sessions, metrics, now, retryMs } = this.#parts
    const { tenant, id } = session
    const inFlight = sessions.isBusy(tenant, id)
    const sequences = await this.#parts.deleteSlots.run(tenant, () => lastIds(this.#parts, session))
    const order = sessionOrder(session, now(), retryMs)
    if (!(await store.removeSession(session, order, sequences))) return undefined
    sessions.ended(tenant, id)
    this.#parts.retained.drop(tenant, id)
    metrics.sessionsEnded.inc({ why })
    return await this.#attempt(order, sequences, inFlight)
  }

  /**
   * Ends sessions of one tenant that left KV in the same spaces, with one order, one audit entry and one event for all. Returns the ended
   * ones: not those that had a turn since they were read, or whose lineage has other holders.
   */
  async expireSessions(sessions: readonly SessionRecord[]): Promise<readonly SessionRecord[]> {
    const [first] = sessions
    if (first === undefined) return []
    const { tenant } = first
    const operation = { tenant, actor: 'cwm', action: 'end', target: 'tenant', name: tenant } as const
    const { store, sessions: tracker, retained, metrics, now, retryMs } = this.#parts
    const order = { ...sessionOrder(first, now(), retryMs), kind: 'sessions' } as const
    const inFlight = sessions.some(({ id }) => tracker.isBusy(tenant, id))
    const ended = await store.removeSessions(sessions, order)
    if (ended === undefined) return []
    for (const { id } of ended.removed) {
      tracker.ended(tenant, id)
      retained.drop(tenant, id)
    }
    metrics.sessionsEnded.inc({ why: 'idle' }, ended.removed.length)
    const work = () => this.#attempt(ended.order, [], inFlight)
    await runAudited(this.#parts, operation, work, (done) => deletionOutcome(done, 'idle'))
    return ended.removed
  }

  /** Reissues and executes an order whose chunks others held until now. Throws only `STORE_UNAVAILABLE`. */
  async reschedule(order: DeletionRecord): Promise<DeletionRecord> {
    const { store, now, retryMs } = this.#parts
    const reissued: DeletionRecord = { ...order, id: randomId(), state: 'open', nextTryAt: now() + retryMs }
    await store.addDeletion(reissued, [])
    return await this.#attempt(reissued, [], false)
  }

  /**
   * Executes the orders for a tenant's requests without a session now, although they are not due. `shared`: those of shared lineages, or the
   * others. Late stores are looked for once more. Throws only `STORE_UNAVAILABLE`.
   */
  async eraseRequests(tenant: string, shared: boolean): Promise<readonly DeletionRecord[]> {
    const { store } = this.#parts
    const done: DeletionRecord[] = []
    let cursor: string | undefined
    do {
      const page = await store.listDeletions(tenant, {
        limit: REQUESTS_PAGE,
        ...(cursor === undefined ? {} : { cursor }),
      })
      for (const order of page.items) {
        const isWanted = order.kind === 'requests' && order.state === 'open' && (order.shared !== undefined) === shared
        if (isWanted) done.push(await this.#attempt(order, [], true))
      }
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return done
  }

  /** Throws `DELETION_NOT_FOUND`. */
  async show(tenant: string, id: string): Promise<DeletionRecord> {
    const record = await this.#parts.store.getDeletion(tenant, id)
    if (record !== undefined) return record
    throw new CwmError('DELETION_NOT_FOUND', 'there is no deletion with that id under this key', { param: 'id' })
  }

  list(tenant: string, page: PageRequest): Promise<Page<DeletionRecord>> {
    return this.#parts.store.listDeletions(tenant, page)
  }

  /** Executes the open orders that are due. Throws only `STORE_UNAVAILABLE`. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, now, metrics } = this.#parts
    const open = await store.listOpenDeletions(now(), PER_RUN)
    metrics.deletionsOpen.set(open.length)
    for (const order of open) {
      if (signal.aborted) return
      if (this.#busy.has(order.id)) continue
      await withLease(store, leaseKeys.deletion(order.id), () => this.#resume(order))
    }
  }

  /** Reads the order again, because another process may have changed it since it was listed. */
  async #resume({ tenant, id }: DeletionRecord): Promise<void> {
    const { store, now } = this.#parts
    const order = await store.getDeletion(tenant, id)
    if (order === undefined || order.state === 'done' || order.nextTryAt > now() || this.#busy.has(id)) return
    await this.#execute(order, await store.getDeletionSequences(tenant, id), undefined)
  }

  /** `waits`: for a slot. Without one the order stays open for the next run. */
  async #attempt(
    order: DeletionRecord,
    sequences: readonly Uint32Array[],
    again: boolean,
    waits = true,
  ): Promise<DeletionRecord> {
    const { store, now } = this.#parts
    const work = () => this.#execute(order, sequences, again ? now() + RECHECK_DELAY_MS : undefined, waits)
    return (await withLease(store, leaseKeys.deletion(order.id), work)) ?? order
  }

  #carryOut(order: DeletionRecord, sequences: readonly Uint32Array[]): Promise<ExecutedDeletion> {
    if (order.kind === 'sessions') return executeExpiry(this.#parts, order)
    if (order.kind === 'requests') return executeRequests(this.#parts, order)
    return executeDeletion(this.#parts, order, sequences)
  }

  /** `again`: when to check once more even if nothing is left now. */
  async #execute(
    order: DeletionRecord,
    sequences: readonly Uint32Array[],
    again: number | undefined,
    waitsForSlot = true,
  ): Promise<DeletionRecord> {
    const { store, now, log, metrics, retryMs } = this.#parts
    this.#busy.add(order.id)
    try {
      const execute = () => this.#carryOut(order, sequences)
      const slot = { waits: waitsForSlot }
      const { receipt, unpinned, waits } = await this.#parts.deleteSlots.run(order.tenant, execute, slot)
      const isShared = order.kind === 'requests' && !receipt.lineageRetired
      const clean = receipt.residualChunks === 0 && unpinned
      const over = !waits && now() - order.at > GIVE_UP_MS
      const tries = order.tries + 1
      const change = {
        tries,
        receipt,
        ...(unpinned ? { pin: 'none' as const } : {}),
        ...((clean && !waits && again === undefined) || over
          ? { state: 'done' as const, ...(order.lineages === undefined ? {} : { lineages: [] }) }
          : {
              state: 'open' as const,
              nextTryAt:
                again ?? now() + (isShared ? SHARED_RETRY_MS : Math.min(retryMs * 2 ** order.tries, SLOWEST_RETRY_MS)),
            }),
      }
      await store.changeDeletion(order.tenant, order.id, change)
      metrics.deletions.inc({ outcome: clean ? 'clean' : receipt.residualChunks === null ? 'unproved' : 'residue' })
      metrics.deletedChunks.inc(receipt.deletedChunks - (order.receipt?.deletedChunks ?? 0))
      const { deletedChunks, residualChunks, lineageRetired } = receipt
      log.info({ delete: order.id, kind: order.kind, deletedChunks, residualChunks, lineageRetired, tries }, 'deleted')
      return { ...order, ...change }
    } catch (thrown) {
      const error = toCwmError(thrown)
      if (error.code === 'STORE_UNAVAILABLE') throw error
      // No slot was free, or cwm is stopping. Nothing was done yet.
      if (error.code === 'OVERLOADED' || error.code === 'SHUTTING_DOWN') return order
      log.error({ delete: order.id, err: error }, 'deletion failed; it will be retried')
      return order
    } finally {
      this.#busy.delete(order.id)
    }
  }
}

function beingFrozen(name: string): CwmError {
  return new CwmError(
    'WINDOW_NOT_READY',
    `window ${name} is still being frozen; delete it after the freeze has finished`,
    {
      param: 'name',
    },
  )
}

/** The ids of a session's last prompt, if available. Without them only the directory can name its chunks. */
async function lastIds(
  { retained, fleet, apiKey }: DeletionParts,
  { tenant, id, lineage }: SessionRecord,
): Promise<readonly Uint32Array[]> {
  const turn = await retained.find(tenant, id)
  if (turn === undefined) return []
  const prompt = { ...turn.prompt, messages: turn.prompt.messages.slice(0, turn.replyAt) }
  const engine = fleet.pick({ lineage, model: prompt.model })
  const ids = await engine.tokenIds(prompt, { apiKey }).catch(() => undefined)
  return ids === undefined || ids.length === 0 ? [] : [ids]
}

/** The spaces in which a window may have left chunks, the one of its pin first. */
function epochsOf(record: WindowRecord, current: number): readonly KvSpace[] {
  const space = spaceOf(record)
  const others = Array.from({ length: Math.min(current + 1, MAX_EPOCHS) }, (_, i) => current - i)
  return [space, ...others.filter((kvEpoch) => kvEpoch !== space.kvEpoch).map((kvEpoch) => ({ ...space, kvEpoch }))]
}
