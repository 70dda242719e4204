// The few functions on windows that headers, REST, MCP and CLI share. They know tenants, sessions and names; of HTTP
// only the header under which a client knows a name, so that an error can say which.

import { EventEmitter, once } from 'node:events'
import { CwmError, toCwmError } from '../base/errors.ts'
import { isReservedName, isWindowName, randomId, windowNameRule } from '../base/ids.ts'
import type { ThawReceipt, WindowRecord } from '../base/records.ts'
import type { Page, PageRequest } from '../base/store.ts'
import type { LiveSession } from '../sessions/tracker.ts'
import type { CallOptions } from '../upstream/engine.ts'
import { type BaseWindow, BaseWindows, notFound } from './base-windows.ts'
import { freezeReserved } from './freeze.ts'
import type { PromptOfTurn, WindowParts } from './parts.ts'
import { restoreWindow } from './thaw.ts'

export interface FreezeRequest extends PromptOfTurn {
  readonly session: LiveSession
  readonly name: string
  readonly clientSalt: string | undefined
  /** Of the turn that is frozen. */
  readonly lineage: string
  readonly parent: string | undefined
}

/** A freeze that the turn itself does not allow. */
export interface RefusedFreeze {
  readonly session: LiveSession
  readonly model: string
  readonly dialect: WindowRecord['dialect']
  readonly reason: string
}

/** A name held for a freeze whose turn is still being answered. Use it once, or let it go. */
export interface NameReservation {
  readonly name: string
  release(): void
}

/** What `show` answers: a stored window, or a name whose turn is still being answered. */
export type WindowView = WindowRecord | { readonly state: 'pending'; readonly name: string; readonly tenant: string }

/** Names held at once per process: more turns than that cannot be in flight. */
const MAX_RESERVATIONS = 100_000
/** How long a thaw waits for its window's freeze, which is a matter of a second or two. */
const THAW_WAIT_MS = 20_000
/** Freezes in the background at once: each may prefill a whole window, beside the chats. */
const MAX_BACKGROUND = 64

export class Windows {
  readonly #parts: WindowParts
  readonly #bases: BaseWindows
  readonly #reserved = new Map<string, symbol>()
  readonly #freezing = new Set<string>()
  readonly #background = new Set<Promise<unknown>>()
  readonly #changed = new EventEmitter().setMaxListeners(0)

  constructor(parts: WindowParts) {
    this.#parts = parts
    this.#bases = new BaseWindows(parts.store, parts.maxBaseBytes)
  }

  /**
   * Holds a name until the turn that shall be frozen is answered. Throws `INVALID_FIELD` for a name of the wrong form,
   * `WINDOW_NAME_TAKEN` when it is in use; a name whose freeze failed is free again.
   */
  async reserve(tenant: string, name: string): Promise<NameReservation> {
    if (!isWindowName(name) || isReservedName(name)) {
      const rule = isReservedName(name) ? 'names that begin with "auto." are given by cwm itself' : windowNameRule
      throw new CwmError('INVALID_FIELD', `a window's name must be ${rule}`, { param: 'name' })
    }
    const key = keyOf(tenant, name)
    if (this.#reserved.has(key)) throw taken(name)
    if (this.#reserved.size >= MAX_RESERVATIONS || this.#background.size >= MAX_BACKGROUND) {
      throw new CwmError('BUSY', 'too many freezes are under way; try again when some are done')
    }
    const token = Symbol(name)
    this.#reserved.set(key, token)
    const release = () => {
      if (this.#reserved.get(key) !== token) return
      this.#reserved.delete(key)
      this.#changed.emit(key)
    }
    try {
      const known = await this.#parts.store.getWindow(tenant, name)
      if (known !== undefined && (known.state !== 'failed' || known.pin !== 'none')) throw taken(name)
    } catch (error) {
      release()
      throw error
    }
    return { name, release }
  }

  /** Freezes a session under a held name. Answers the final record, `frozen` or `failed`. Throws `WINDOW_NAME_TAKEN` or what the store throws. */
  async freeze(request: FreezeRequest, reservation: NameReservation, options: CallOptions): Promise<WindowRecord> {
    const { session, name, prompt, replyAt, promptTokens, clientSalt, lineage, parent } = request
    const { tenant, id: sessionId } = session.record
    const record: WindowRecord = {
      tenant,
      name,
      id: randomId(),
      state: 'freezing',
      sessionId,
      lineage,
      ...(parent === undefined ? {} : { parent }),
      dialect: prompt.dialect,
      model: prompt.model,
      ...(clientSalt === undefined ? {} : { clientSalt }),
      messageCount: prompt.messages.length,
      replyAt,
      ...(promptTokens === undefined ? {} : { promptTokens }),
      createdAt: this.#parts.now(),
      pin: 'none',
    }
    this.#freezing.add(record.id)
    try {
      const stored = await this.#parts.store.reserveWindow(record, { prompt, tokenIds: new Uint32Array() })
      reservation.release()
      if (!stored) throw taken(name)
      return await freezeReserved(this.#parts, record, request, options)
    } finally {
      reservation.release()
      this.#freezing.delete(record.id)
      this.#changed.emit(keyOf(tenant, name))
    }
  }

  /** Records under a held name why its turn is not frozen, in the background; the name can be tried again. */
  refuseLater({ session, model, dialect, reason }: RefusedFreeze, reservation: NameReservation): void {
    const { tenant, id: sessionId, lineage } = session.record
    const { name } = reservation
    const at = this.#parts.now()
    const record: WindowRecord = {
      tenant,
      name,
      id: randomId(),
      state: 'failed',
      reason,
      sessionId,
      lineage,
      dialect,
      model,
      messageCount: 0,
      replyAt: 0,
      createdAt: at,
      pin: 'none',
    }
    const prompt = { dialect, model, messages: [], shaping: {} }
    this.#parts.metrics.freezes.inc({ outcome: 'failed' })
    this.#parts.log.warn({ window: name, reason }, 'freeze refused')
    this.#inBackground(name, () =>
      this.#parts.store
        .reserveWindow(record, { prompt, tokenIds: new Uint32Array() })
        .finally(() => reservation.release()),
    )
  }

  /** The same in the background, for a turn whose client has its answer. What goes wrong is on the record, and in the log. */
  freezeLater(request: FreezeRequest, reservation: NameReservation, options: CallOptions): void {
    this.#inBackground(request.name, () => this.freeze(request, reservation, options))
  }

  #inBackground(name: string, work: () => Promise<unknown>): void {
    const done = work().catch((thrown: unknown) => {
      this.#parts.metrics.freezes.inc({ outcome: 'failed' })
      this.#parts.log.error({ window: name, err: toCwmError(thrown) }, 'freeze could not be recorded')
    })
    this.#background.add(done)
    void done.finally(() => this.#background.delete(done))
  }

  /**
   * Thaws a window into a session of its tenant: restores its KV, then binds the session to it, so that the window's messages stand
   * before the session's own from now on and both share a lineage. Throws what the engine throws; the session then is as it was.
   */
  async thaw(session: LiveSession, base: BaseWindow, options: CallOptions): Promise<ThawReceipt> {
    const receipt = await restoreWindow(this.#parts, base, session.record.id, options)
    session.change({
      lineage: base.record.lineage,
      baseWindow: base.record.name,
      baseWindowId: base.record.id,
      model: base.record.model,
      dialect: base.record.dialect,
      thaw: receipt,
    })
    return receipt
  }

  /** The window before a bound session's own messages; undefined when the session is not bound. Throws `WINDOW_NOT_FOUND` when it is gone. */
  async baseOf(session: LiveSession): Promise<BaseWindow | undefined> {
    const { tenant, baseWindow, baseWindowId } = session.record
    return baseWindow === undefined ? undefined : await this.#bases.require(tenant, baseWindow, baseWindowId)
  }

  /**
   * A frozen window by name; one that is being frozen is waited for, for a while. Throws `WINDOW_NOT_FOUND`, `WINDOW_NOT_READY`,
   * `WINDOW_FAILED` or `WINDOW_CORRUPT`.
   */
  async requireFrozen(tenant: string, name: string, signal?: AbortSignal): Promise<BaseWindow> {
    await this.showSettled(tenant, name, THAW_WAIT_MS, signal)
    return await this.#bases.require(tenant, name)
  }

  /** Brings a window's chunks nearer, into LMCache's memory, without using the engine. Throws `NOT_SUPPORTED` without LMCache. */
  async prefetch(
    tenant: string,
    name: string,
    options: CallOptions,
  ): Promise<{ foundChunks: number | null; totalChunks: number; ms: number }> {
    const { lmcache, models, saltOf, now } = this.#parts
    const base = await this.#bases.require(tenant, name)
    const start = now()
    const link = await lmcache.open()
    const model = await models.find(base.record.model, options.apiKey)
    const keys = model === undefined ? undefined : link?.keysOf(model.engineName)
    if (link === undefined || keys === undefined) {
      throw new CwmError(
        'NOT_SUPPORTED',
        'no LMCache server with this engine attached: there is no L1 to bring the window to',
        {
          param: 'to',
        },
      )
    }
    const sequence = { tokenIds: base.tokenIds, salt: saltOf(base.record), keys }
    const { foundKeys, totalKeys } = await link.client.prefetch(sequence, {
      deadlineMs: 60_000,
      signal: options.signal,
    })
    return {
      // With several ranks, half of two chunks would count as one: no chunk is promised that may lack a rank.
      foundChunks: foundKeys === null ? null : wholeChunks(foundKeys, totalKeys ?? 0, keys.worldSize),
      totalChunks: Math.floor(base.tokenIds.length / keys.chunkSize),
      ms: now() - start,
    }
  }

  /** The window, or `pending` while its turn is still being answered. Throws `WINDOW_NOT_FOUND`. */
  async show(tenant: string, name: string): Promise<WindowView> {
    const record = await this.#parts.store.getWindow(tenant, name)
    if (this.#reserved.has(keyOf(tenant, name))) return { state: 'pending', name, tenant }
    if (record === undefined) throw notFound(name)
    return record
  }

  /** As `show`, once the window is neither pending nor freezing, when `waitMs` is over, or when the signal says that nobody waits. */
  async showSettled(tenant: string, name: string, waitMs: number, signal?: AbortSignal): Promise<WindowView> {
    const over = new AbortController()
    const end = () => over.abort()
    const timer = setTimeout(end, waitMs)
    signal?.addEventListener('abort', end)
    try {
      for (;;) {
        // Listening begins before looking, so that no change falls between.
        const change = once(this.#changed, keyOf(tenant, name), { signal: over.signal }).catch(() => undefined)
        const view = await this.show(tenant, name)
        if (over.signal.aborted || (view.state !== 'pending' && view.state !== 'freezing')) return view
        await change
      }
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      // Ends the listening too: a window that is settled changes no more.
      end()
    }
  }

  list(tenant: string, page: PageRequest): Promise<Page<WindowRecord>> {
    return this.#parts.store.listWindows(tenant, page)
  }

  /** Wakes those who wait for a window, after somebody else has settled it. */
  announce(tenant: string, name: string): void {
    this.#changed.emit(keyOf(tenant, name))
  }

  /** Whether this process is at work on that window now: then it is not for the reconciler. */
  isBusy(id: string): boolean {
    return this.#freezing.has(id)
  }

  /** Resolves when the freezes in the background are done. */
  async settle(): Promise<void> {
    await Promise.all(this.#background)
  }
}

function wholeChunks(foundKeys: number, totalKeys: number, worldSize: number): number {
  return Math.max(0, totalKeys / worldSize - (totalKeys - foundKeys))
}

function taken(name: string): CwmError {
  return new CwmError('WINDOW_NAME_TAKEN', `there is a window ${name} already; choose another name`, {
    param: 'x-cwm-freeze',
  })
}

function keyOf(tenant: string, name: string): string {
  return JSON.stringify([tenant, name])
}
