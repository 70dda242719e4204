// Deletion: remove, then prove. Removing the item from the store also stores an order for the KV it left behind. The order is executed at
// once if possible, and retried in the background until nothing is left (order-runner.ts). The engine's own cache is left to its own eviction.

import type { DeletionRecord } from '../base/deletion-records.ts'
import { CwmError } from '../base/errors.ts'
import { randomId } from '../base/ids.ts'
import type { KvSpace, SessionRecord, WindowRecord } from '../base/records.ts'
import { sessionNeed } from '../engines/fleet.ts'
import type { Page, PageRequest } from '../store/store-values.ts'
import { windowNotFound } from './base-windows.ts'
import { newOrder, sessionOrder } from './deletion-orders.ts'
import { leaseKeys, withLease } from './lease.ts'
import { deletionOutcome, runAudited } from './operation-audit.ts'
import { OrderRunner } from './order-runner.ts'
import { type DeletionParts, spaceOf } from './parts.ts'
import type { Windows } from './windows.ts'

/** How long a deletion waits for a freeze of the same window. */
const SETTLE_MS = 20_000
const REQUESTS_PAGE = 100
/** How often to try to end sessions that keep getting turns. */
const ATTEMPTS = 3
/** Older epochs under which a window may have left KV. */
const MAX_EPOCHS = 16

export type EndedWhy = 'asked' | 'idle' | 'erased'
/** `budget`: an automatic window beyond the limit. */
export type DeletedWhy = 'asked' | 'budget' | 'erased'

/** What happens to the sessions based on a deleted window: they keep its text until they end, or end with it. */
export type FateOfSessions = 'keep' | 'end'

interface DeletedWindow {
  readonly done: DeletionRecord
  /** The session that the window was frozen from. */
  readonly session: string | undefined
}

export class Deletions {
  readonly #parts: DeletionParts
  readonly #windows: Windows
  readonly #orders: OrderRunner

  constructor(parts: DeletionParts, windows: Windows) {
    this.#parts = parts
    this.#windows = windows
    this.#orders = new OrderRunner(parts)
  }

  /** Executes the open orders that are due. Throws only `STORE_UNAVAILABLE`. */
  run(signal: AbortSignal): Promise<void> {
    return this.#orders.run(signal)
  }

  /**
   * Deletes a window and returns what was proven. Sessions based on it continue, unless `sessions` is `end`. Throws `WINDOW_NOT_FOUND`,
   * `WINDOW_NOT_READY` while it is being frozen, and what the store throws.
   */
  async deleteWindow(
    tenant: string,
    name: string,
    why: DeletedWhy,
    actor: string,
    sessions: FateOfSessions = 'keep',
  ): Promise<DeletionRecord> {
    const operation = { tenant, actor, action: 'delete', target: 'window', name } as const
    const work = async () => {
      // A freeze waits for the name, not for the KV.
      const deleted = await this.#deleteWindow(tenant, name, why !== 'budget')
      return sessions === 'keep' ? deleted : { ...deleted, done: await this.#endHolders(deleted.done, actor) }
    }
    const outcome = ({ done, session }: DeletedWindow) => deletionOutcome(done, why, session)
    return (await runAudited(this.#parts, operation, work, outcome)).done
  }

  async #deleteWindow(tenant: string, name: string, waits: boolean): Promise<DeletedWindow> {
    const { store } = this.#parts
    const view = await this.#windows.showSettled(tenant, name, SETTLE_MS)
    if (view.state === 'pending' || this.#windows.isBusy(view.id)) throw beingFrozen(name)
    const ordered = await withLease(store, leaseKeys.window(view.id), () => this.#removeWindow(view))
    if (ordered === undefined) throw beingFrozen(name)
    return { done: await this.#orders.attempt(ordered.order, ordered.sequences, false, waits), session: view.sessionId }
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
    const stored = await store.removeWindow(record, order, sequences)
    if (stored === undefined) throw windowNotFound(name)
    this.#parts.onWindowRemoved?.(tenant, name)
    this.#windows.notifyWaiters(tenant, name)
    return { order: stored, sequences }
  }

  /** Ends the sessions that hold a deleted window. Those that keep getting turns are left. Returns the delete as it is then. */
  async #endHolders(order: DeletionRecord, actor: string): Promise<DeletionRecord> {
    const { store } = this.#parts
    const { tenant, id, heldWindow } = order
    for (let failures = 0; heldWindow !== undefined && failures < ATTEMPTS; ) {
      const held = await store.getHeldWindow(tenant, heldWindow)
      if (held === undefined) break
      let ended = 0
      const { sessions } = await (failures === 0 ? store.sessionsOn(held.window) : store.recountSessionsOn(held.window))
      for (const sessionId of sessions) {
        const session = await store.getSession(tenant, sessionId)
        if (session !== undefined && (await this.endSession(session, 'asked', actor)) !== undefined) ended++
      }
      failures = ended > 0 ? 0 : failures + 1
    }
    return (await store.getDeletion(tenant, id)) ?? order
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
    const base = session.baseWindowId
    const held = base === undefined ? undefined : await store.getHeldWindow(tenant, base)
    if (!(await store.removeSession(session, order, sequences))) return undefined
    sessions.ended(tenant, id)
    this.#parts.releasedKeys?.sessionEnded(session)
    this.#parts.retained.drop(tenant, id)
    metrics.sessionsEnded.inc({ why })
    const done = await this.#orders.attempt(order, sequences, inFlight)
    if (held !== undefined) await this.#orders.executeReleased(tenant, held.deletion)
    return done
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
    for (const session of ended.removed) {
      tracker.ended(tenant, session.id)
      this.#parts.releasedKeys?.sessionEnded(session)
      retained.drop(tenant, session.id)
    }
    metrics.sessionsEnded.inc({ why: 'idle' }, ended.removed.length)
    const work = () => this.#orders.attempt(ended.order, [], inFlight)
    await runAudited(this.#parts, operation, work, (done) => deletionOutcome(done, 'idle'))
    return ended.removed
  }

  /** Reissues and executes an order whose chunks others held until now. Throws only `STORE_UNAVAILABLE`. */
  async reschedule(order: DeletionRecord): Promise<DeletionRecord> {
    const { store, now, retryMs } = this.#parts
    const reissued: DeletionRecord = { ...order, id: randomId(), state: 'open', nextTryAt: now() + retryMs }
    await store.addDeletion(reissued, [])
    return await this.#orders.attempt(reissued, [], false)
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
        if (isWanted) done.push(await this.#orders.attempt(order, [], true))
      }
      cursor = page.nextCursor
    } while (cursor !== undefined)
    return done
  }

  /** Throws `DELETION_NOT_FOUND`. */
  async show(tenant: string, id: string): Promise<DeletionRecord> {
    const record = await this.#parts.store.getDeletion(tenant, id)
    if (record !== undefined) return record
    throw new CwmError('DELETION_NOT_FOUND', 'there is no delete with this id under this key', { param: 'id' })
  }

  list(tenant: string, page: PageRequest): Promise<Page<DeletionRecord>> {
    return this.#parts.store.listDeletions(tenant, page)
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
  session: SessionRecord,
): Promise<readonly Uint32Array[]> {
  const turn = await retained.find(session.tenant, session.id)
  if (turn === undefined) return []
  const prompt = { ...turn.prompt, messages: turn.prompt.messages.slice(0, turn.replyAt) }
  const engine = await fleet.pick({ ...sessionNeed(session), model: prompt.model })
  const ids = await engine.tokenIds(prompt, { apiKey: apiKey() }).catch(() => undefined)
  return ids === undefined || ids.length === 0 ? [] : [ids]
}

/** The spaces in which a window may have left chunks, the one of its pin first. */
function epochsOf(record: WindowRecord, current: number): readonly KvSpace[] {
  const space = spaceOf(record)
  const others = Array.from({ length: Math.min(current + 1, MAX_EPOCHS) }, (_, i) => current - i)
  return [space, ...others.filter((kvEpoch) => kvEpoch !== space.kvEpoch).map((kvEpoch) => ({ ...space, kvEpoch }))]
}
