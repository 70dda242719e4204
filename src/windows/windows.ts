// The operations on windows that headers, REST, MCP and CLI share. They know tenants, sessions and names but no HTTP: an error's `param` is
// `name` or `session_id`, and each interface translates it.

import { EventEmitter } from 'node:events'
import type { BackgroundClaim } from '../admission/background-claim.ts'
import type { DependentSessions } from '../base/deletion-records.ts'
import { toCwmError } from '../base/errors.ts'
import { readUntil } from '../base/read-until.ts'
import type { Prompt, ThawReceipt, WindowOrigin, WindowRecord } from '../base/records.ts'
import { sameSpace } from '../base/spaces.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { Page, WindowQuery } from '../store/store-values.ts'
import { type BaseWindow, BaseWindows, windowNotFound } from './base-windows.ts'
import { checkFits } from './check-fits.ts'
import { bytesOf } from './checksum.ts'
import { orderLineageCleanup, orderThawCleanup } from './deletion-orders.ts'
import { freezeReserved } from './freeze.ts'
import { acquireLease, type Lease, leaseKeys } from './lease.ts'
import { keyOf, type NameReservation, NameReservations } from './name-reservations.ts'
import {
  type BackgroundFreeze,
  type FreezeRequest,
  type NewWindow,
  newRecord,
  notStored,
  type RefusedFreeze,
  refusedWindow,
  sortedTags,
  type WindowUpdate,
} from './new-window.ts'
import { freezeEvent, type OperationOptions, runAudited, thawOutcome, windowOutcome } from './operation-audit.ts'
import { spaceOf, type WindowParts } from './parts.ts'
import { changePin } from './pin-budget.ts'
import { type Prefetched, prefetchWindow, type ReturningSession } from './prefetch.ts'
import { checkKeepsContext, sessionChanged, type ThawOptions } from './replace-guard.ts'
import { restoreWindow } from './thaw.ts'

/** What `show` returns: a stored window, or a name whose turn is still being answered. */
export type WindowView = WindowRecord | { readonly state: 'pending'; readonly name: string; readonly tenant: string }

const actions = { session: 'freeze', clone: 'clone', content: 'create', import: 'import' } as const

/** How long a thaw waits for its window's freeze, which normally takes a second or two. */
const THAW_WAIT_MS = 20_000
/** Counting more would read as many entries of the store's index. */
const MOST_COUNTED = 1_000

export class Windows {
  readonly #parts: WindowParts
  readonly #bases: BaseWindows
  readonly #sessions: Pick<SessionTracker, 'bind'>
  readonly #names: NameReservations
  readonly #freezing = new Set<string>()
  readonly #background = new Set<Promise<unknown>>()
  readonly #changed = new EventEmitter().setMaxListeners(0)

  constructor(parts: WindowParts, sessions: Pick<SessionTracker, 'bind'>) {
    this.#parts = parts
    this.#sessions = sessions
    this.#bases = new BaseWindows(parts.store, parts.maxBaseBytes)
    const onRelease = (tenant: string, name: string) => this.notifyWaiters(tenant, name)
    this.#names = new NameReservations({ store: parts.store, policyOf: parts.policyOf, onRelease })
  }

  /**
   * Reserves a name until the turn to be frozen is answered. Throws `INVALID_FIELD` for an invalid name and `WINDOW_NAME_TAKEN` if the name
   * is in use. The name of a failed freeze is free again.
   */
  reserve(tenant: string, name: string): Promise<NameReservation> {
    return this.#names.reserve(tenant, name)
  }

  /** The same for a name that cwm generated, which is known to be valid. */
  reserveAuto(tenant: string, name: string): Promise<NameReservation> {
    return this.#names.reserveAuto(tenant, name)
  }

  /**
   * Freezes a session under a reserved name. Returns the final record, `frozen` or `failed`. Throws `WINDOW_NAME_TAKEN`, `QUOTA_EXCEEDED`,
   * what the store throws, and what `claim` throws. The window is then recorded, and the reconciler finishes it.
   */
  freeze(
    request: FreezeRequest,
    reservation: NameReservation,
    options: OperationOptions,
    background?: BackgroundFreeze,
  ): Promise<WindowRecord> {
    const { tenant, id: sessionId, shared } = request.session.record
    const wanted = { ...request, tenant, origin: 'session', sessionId, shared } as const
    return this.#audited(tenant, reservation.name, 'session', options, () =>
      this.#create(wanted, reservation, options, background),
    )
  }

  /**
   * Creates a window without freezing a session, from what `prepare` returns. Returns as `freeze` does. Throws what `reserve`, `freeze` and
   * `prepare` throw.
   */
  create(
    { tenant, name, origin }: { readonly tenant: string; readonly name: string; readonly origin: WindowOrigin },
    prepare: () => Promise<Omit<NewWindow, 'tenant' | 'origin'>>,
    options: OperationOptions,
  ): Promise<WindowRecord> {
    return this.#audited(tenant, name, origin, options, async () => {
      const wanted = { ...(await prepare()), tenant, origin }
      return await this.#create(wanted, await this.reserve(tenant, name), options)
    })
  }

  #audited(
    tenant: string,
    name: string,
    origin: WindowOrigin,
    { actor }: OperationOptions,
    work: () => Promise<WindowRecord>,
  ): Promise<WindowRecord> {
    const operation = { tenant, actor, action: actions[origin], target: 'window', name } as const
    return runAudited(this.#parts, operation, work, windowOutcome)
  }

  async #create(
    wanted: NewWindow,
    reservation: NameReservation,
    options: OperationOptions,
    background?: BackgroundFreeze,
  ): Promise<WindowRecord> {
    const { tenant, prompt } = wanted
    const { name } = reservation
    const content = { prompt, tokenIds: new Uint32Array() }
    const record = newRecord(this.#parts, wanted, name, bytesOf(content))
    this.#freezing.add(record.id)
    let held: Lease | undefined
    try {
      // Leased before anyone can see the record.
      held = await acquireLease(this.#parts.store, leaseKeys.window(record.id))
      const { maxWindows, maxWindowBytes } = this.#parts.policyOf(tenant)
      const outcome = await this.#parts.store.reserveWindow(record, content, {
        ...(maxWindows === undefined ? {} : { maxWindows }),
        ...(maxWindowBytes === undefined ? {} : { maxBytes: maxWindowBytes }),
      })
      reservation.release()
      if (outcome !== 'stored') throw notStored(outcome, name)
      background?.onRecorded?.()
      const prove = () => freezeReserved(this.#parts, record, wanted, options)
      return await (background === undefined ? prove() : background.claim().run(prove))
    } finally {
      reservation.release()
      held?.release()
      this.#freezing.delete(record.id)
      this.#changed.emit(keyOf(tenant, name))
    }
  }

  /** Records in the background why a turn cannot be frozen under its reserved name. The name can be used again. */
  recordRefusal(refused: RefusedFreeze, reservation: NameReservation): void {
    const { name } = reservation
    const { record, prompt } = refusedWindow(this.#parts, refused, name)
    this.#parts.metrics.freezes.inc({ outcome: 'failed' })
    this.#parts.log.warn({ window: name, reason: refused.reason }, 'freeze rejected')
    void this.#inBackground(name, () =>
      this.#parts.store
        .reserveWindow(record, { prompt, tokenIds: new Uint32Array() })
        .then(() => this.#parts.events.emit({ tenant: record.tenant, ...freezeEvent(record) }))
        .finally(() => reservation.release()),
    )
  }

  /**
   * Freezes in the background, for a client that has its answer. Errors go to the record and the log: the promise never rejects, and
   * resolves to undefined if nothing could be recorded.
   */
  freezeInBackground(
    request: FreezeRequest,
    reservation: NameReservation,
    options: OperationOptions,
    claim: BackgroundClaim,
  ): Promise<WindowRecord | undefined> {
    const freeze = () => this.freeze(request, reservation, options, { claim: () => claim })
    return this.#inBackground(request.name, () => freeze().finally(() => claim.release()))
  }

  #inBackground<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    const done = work().catch((thrown: unknown) => {
      this.#parts.metrics.freezes.inc({ outcome: 'failed' })
      this.#parts.log.error({ window: name, err: toCwmError(thrown) }, 'freeze could not be recorded')
      return undefined
    })
    this.#background.add(done)
    void done.finally(() => this.#background.delete(done))
    return done
  }

  /**
   * Thaws a window into a session of its tenant: restores its KV, then binds the session to it. From then on the window's messages precede the
   * session's own, and both share a lineage. Throws what the engine throws, and then leaves the session unchanged. Throws `SESSION_CHANGED` if
   * the session ended or another window was thawed into it meanwhile, and `SESSION_HAS_TURNS` with `keepTurns`.
   */
  thaw(session: LiveSession, base: BaseWindow, options: ThawOptions): Promise<ThawReceipt> {
    const { tenant, name } = base.record
    const operation = { tenant, actor: options.actor, action: 'thaw', target: 'window', name } as const
    return runAudited(this.#parts, operation, () => this.#thaw(session, base, options), thawOutcome)
  }

  async #thaw(
    session: LiveSession,
    base: BaseWindow,
    { keepTurns = false, ...options }: ThawOptions,
  ): Promise<ThawReceipt> {
    const { record } = base
    if (keepTurns) checkKeepsContext(session.record, record)
    const receipt = await this.#parts.inUse.during(record.id, () =>
      restoreWindow(this.#parts, base, session.record.id, options),
    )
    // Checked again, because a turn may have finished meanwhile.
    if (keepTurns) checkKeepsContext(session.record, record)
    const { lineage, spaces } = session.record
    const stays = lineage === record.lineage
    if (!stays) await orderLineageCleanup(this.#parts, session.record)
    const space = spaceOf({ ...record, kvEpoch: this.#parts.kvEpoch })
    const outcome = await this.#sessions.bind(session, {
      lineage: record.lineage,
      shared: record.shared,
      // The warm call has already stored KV there.
      spaces: [...(stays ? spaces.filter((known) => !sameSpace(known, space)) : []), space],
      baseWindow: record.name,
      baseWindowId: record.id,
      model: record.model,
      dialect: record.dialect,
      thaw: receipt,
    })
    if (outcome === 'saved') return receipt
    if (outcome !== 'no_base') throw sessionChanged()
    // The warm call has stored KV there after the delete looked for it.
    await orderThawCleanup(this.#parts, record, space, base.tokenIds)
    throw windowNotFound(record.name)
  }

  /**
   * The base window of a bound session, even if it was deleted since; undefined if it has none. Throws `WINDOW_NOT_FOUND` if an older version
   * of cwm, which shares the store, deleted it.
   */
  async baseWindowOf(session: LiveSession): Promise<BaseWindow | undefined> {
    const { tenant, baseWindow, baseWindowId } = session.record
    return baseWindow === undefined ? undefined : await this.#bases.require(tenant, baseWindow, baseWindowId)
  }

  /**
   * Returns a frozen window by name, waiting a while for a running freeze. Throws `WINDOW_NOT_FOUND`, `WINDOW_NOT_READY`, `WINDOW_FAILED` or
   * `WINDOW_CORRUPT`.
   */
  async requireFrozen(tenant: string, name: string, signal?: AbortSignal): Promise<BaseWindow> {
    await this.showSettled(tenant, name, THAW_WAIT_MS, signal)
    return await this.#bases.require(tenant, name)
  }

  /** Throws for given content that no window can be made of; see check-fits.ts. */
  checkFits(prompt: Prompt, options: CallOptions): Promise<void> {
    return checkFits(this.#parts, prompt, options)
  }

  /** Returns the frozen window of that name if it holds exactly this prompt, so that creating it again is no conflict. */
  async findSame(tenant: string, name: string, prompt: Prompt): Promise<WindowRecord | undefined> {
    const record = await this.#parts.store.getWindow(tenant, name)
    if (record?.state !== 'frozen') return undefined
    const known = (await this.#bases.require(tenant, name)).prompt
    return JSON.stringify(known) === JSON.stringify(prompt) ? record : undefined
  }

  /** A frozen window to be shown. Throws what `requireFrozen` throws. */
  read(tenant: string, name: string): Promise<BaseWindow> {
    return this.#bases.require(tenant, name)
  }

  /** A frozen window to be written to a file. Throws what `requireFrozen` throws. */
  export(tenant: string, name: string, { actor }: OperationOptions): Promise<BaseWindow> {
    const operation = { tenant, actor, action: 'export', target: 'window', name } as const
    return runAudited(this.#parts, operation, () => this.#bases.require(tenant, name))
  }

  /**
   * Loads a window's chunks into the KV layer's memory without using the engine: where the next turn of that session will go, or else of
   * the one that it was frozen from. Throws `NOT_SUPPORTED` without a KV layer.
   */
  prefetch(tenant: string, name: string, options: OperationOptions, by: ReturningSession = {}): Promise<Prefetched> {
    const operation = { tenant, actor: options.actor, action: 'prefetch', target: 'window', name } as const
    return runAudited(this.#parts, operation, async () =>
      prefetchWindow(this.#parts, await this.#bases.require(tenant, name, by.windowId), { ...options, ...by }),
    )
  }

  /** The sessions based on a window. */
  sessionsOn(window: WindowRecord): Promise<DependentSessions> {
    return this.#parts.store.sessionsOn(window)
  }

  /** Returns the window, or `pending` while its turn is still being answered. Throws `WINDOW_NOT_FOUND`. */
  async show(tenant: string, name: string): Promise<WindowView> {
    const record = await this.#parts.store.getWindow(tenant, name)
    if (this.#names.has(tenant, name)) return { state: 'pending', name, tenant }
    if (record === undefined) throw windowNotFound(name)
    return record
  }

  /** As `show`, once the window is neither pending nor freezing, after `waitMs`, or when the signal aborts. */
  async showSettled(tenant: string, name: string, waitMs: number, signal?: AbortSignal): Promise<WindowView> {
    const isShared = Number.isFinite(this.#parts.store.maxStalenessMs)
    const wait = { changed: this.#changed, key: keyOf(tenant, name), isShared, waitMs, signal }
    return await readUntil(
      () => this.show(tenant, name),
      (view) => this.#isSettled(view),
      wait,
    )
  }

  /** A freeze here stores its result shortly before it ends. Until then the window cannot be deleted. */
  #isSettled(view: WindowView): boolean {
    return view.state !== 'pending' && view.state !== 'freezing' && !this.#freezing.has(view.id)
  }

  list(tenant: string, query: WindowQuery): Promise<Page<WindowRecord>> {
    return this.#parts.store.listWindows(tenant, query)
  }

  /**
   * How many windows meet the query's conditions. Exact up to 1,000, and without conditions; beyond that the total is a minimum.
   */
  async count(
    tenant: string,
    { limit: _limit, cursor: _cursor, sort: _sort, order: _order, ...conditions }: WindowQuery,
  ): Promise<{ readonly total: number; readonly isMinimum: boolean }> {
    const { store } = this.#parts
    if (Object.keys(conditions).length === 0) return { total: (await store.usageOf(tenant)).windows, isMinimum: false }
    const count = await store.countWindows(tenant, conditions, MOST_COUNTED + 1)
    return { total: Math.min(count, MOST_COUNTED), isMinimum: count > MOST_COUNTED }
  }

  /** Changes a window's labels, or pins or unpins it. Throws `WINDOW_NOT_FOUND` and what the KV layer throws. */
  update(tenant: string, name: string, change: WindowUpdate, { actor }: OperationOptions): Promise<WindowRecord> {
    const operation = { tenant, actor, action: 'update', target: 'window', name } as const
    return runAudited(this.#parts, operation, () => this.#update(tenant, name, change))
  }

  async #update(tenant: string, name: string, change: WindowUpdate): Promise<WindowRecord> {
    const record = await this.#parts.store.getWindow(tenant, name)
    if (record === undefined) throw windowNotFound(name)
    if (change.pinned !== undefined) await changePin(this.#parts, record, change.pinned)
    const labels = {
      ...(change.tags === undefined ? {} : { tags: sortedTags(change.tags) }),
      ...(change.note === undefined ? {} : { note: change.note === '' ? undefined : change.note }),
    }
    if (Object.keys(labels).length > 0) await this.#parts.store.changeWindow(tenant, name, record.id, labels)
    return (await this.#parts.store.getWindow(tenant, name)) ?? record
  }

  /** Wakes callers that wait for a window after another component settled it. */
  notifyWaiters(tenant: string, name: string): void {
    this.#changed.emit(keyOf(tenant, name))
  }

  /** Whether this process is freezing that window, so that the reconciler must leave it alone. */
  isBusy(id: string): boolean {
    return this.#freezing.has(id)
  }

  /**
   * Runs work on a frozen window that uses its KV and binds no session. The window keeps its pin meanwhile. If it was deleted by the end, an
   * order deletes what the work has stored under its lineage since.
   */
  async use<T>({ record, tokenIds }: BaseWindow, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#parts.inUse.during(record.id, work)
    } finally {
      await this.#cleanUpIfDeleted(record, tokenIds)
    }
  }

  async #cleanUpIfDeleted(record: WindowRecord, tokenIds: Uint32Array): Promise<void> {
    const { store, kvEpoch, log } = this.#parts
    try {
      const now = await store.getWindow(record.tenant, record.name)
      if (now?.id === record.id) return
      await orderThawCleanup(this.#parts, record, spaceOf({ ...record, kvEpoch }), tokenIds)
    } catch (thrown) {
      log.error({ window: record.name, err: toCwmError(thrown) }, 'the KV of a deleted window has no delete order')
    }
  }

  /** Resolves when all background freezes are done. */
  async settle(): Promise<void> {
    await Promise.all(this.#background)
  }
}
