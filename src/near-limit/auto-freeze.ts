// Freezes a session automatically when its context fills: in the background, after the answer. A failed freeze is retried on a later turn.

import { LRUCache } from 'lru-cache'
import type { BackgroundSlots } from '../admission/background.ts'
import type { BackgroundClaim } from '../admission/background-claim.ts'
import type { Now } from '../base/clock.ts'
import { sessionKey } from '../base/ids.ts'
import type { AutoFreezes, Usage, WindowRecord } from '../base/records.ts'
import type { NearLimit } from '../base/tenants.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { RetainedTurn } from '../sessions/retained.ts'
import { autoTag } from '../windows/auto-names.ts'
import type { FreezeRequest } from '../windows/new-window.ts'
import { readTurnPrompt } from '../windows/turn-prompt.ts'
import type { Windows } from '../windows/windows.ts'
import { type AutoFreezeRunner, rearmed } from './auto-freeze-runner.ts'
import { SideRequestDetector } from './side-requests.ts'

export interface AutoFreezeParts {
  readonly freezes: AutoFreezeRunner
  readonly windows: Pick<Windows, 'freeze'>
  readonly freezeSlots: Pick<BackgroundSlots, 'claim'>
  readonly now: Now
  /** Minimum time between two automatic freezes of a session, milliseconds. */
  readonly cooldownMs: number
}

/** A turn that has been answered to its client. */
export interface FinishedTurn {
  readonly session: LiveSession
  readonly turn: RetainedTurn
  readonly usage: Usage | undefined
  readonly nearLimit: NearLimit
  /** Whose background slot the freeze takes. */
  readonly sharer: string
  /** The window that the client's own freeze of this turn produces; undefined if it requested none. */
  readonly clientWindow: Promise<WindowRecord | undefined> | undefined
}

/** Share of the limit by which a context must grow between automatic freezes. */
const STEP = 0.1
/** Sessions whose last attempt is remembered. */
const MAX_TRIED = 10_000

/** Watches how full sessions are. */
export class AutoFreezer {
  readonly #parts: AutoFreezeParts
  /** Running freezes per session, the client's own included. A count, because they may overlap. */
  readonly #filling = new Map<string, number>()
  /** Time of the last attempt, by session: a rejected freeze is not retried on every turn. */
  readonly #tried = new LRUCache<string, number>({ max: MAX_TRIED })
  readonly #sideRequests = new SideRequestDetector()

  constructor(parts: AutoFreezeParts) {
    this.#parts = parts
  }

  /** A cheap check of whether `afterTurn` may have something to do. */
  shouldConsider({ session, usage, nearLimit }: FinishedTurn): boolean {
    const { limit, auto } = session.record
    if (nearLimit.freezeAt === 0 || limit === undefined || usage === undefined) return false
    return auto?.nextAtTokens !== undefined || tokensOf(usage) >= nearLimit.freezeAt * limit
  }

  /** Freezes the session, which is already stored, in the background if its context is full enough. Never throws. */
  afterTurn(finished: FinishedTurn, { apiKey }: CallOptions): void {
    const { session, turn, usage, nearLimit, clientWindow } = finished
    const { limit, auto } = session.record
    if (nearLimit.freezeAt === 0 || limit === undefined || usage === undefined) return
    if (session.temporary || session.ended) return
    const key = sessionKey(session.record.tenant, session.record.id)
    const tokens = tokensOf(usage)
    if (tokens < nearLimit.freezeAt * limit) {
      if (auto?.nextAtTokens !== undefined && this.#hasShrunk(key, turn)) session.change({ auto: rearmed(auto) })
      return
    }
    const nextAtTokens = tokens + Math.floor(limit * STEP)
    if (clientWindow === undefined && !this.#isDue(key, auto, tokens)) return
    this.#filling.set(key, (this.#filling.get(key) ?? 0) + 1)
    this.#parts.freezes.run(session, nearLimit, async () => {
      try {
        if (clientWindow === undefined) return await this.#claimAndFreeze(key, finished, nextAtTokens, { apiKey })
        await this.#recordClientFreeze(session, await clientWindow, nextAtTokens)
        return undefined
      } finally {
        this.#finish(key)
      }
    })
  }

  #finish(key: string): void {
    const left = (this.#filling.get(key) ?? 0) - 1
    if (left > 0) this.#filling.set(key, left)
    else this.#filling.delete(key)
  }

  /** A turn that continues a stored response says nothing about the context's size. */
  #hasShrunk(key: string, turn: RetainedTurn): boolean {
    const { prompt, replyAt } = readTurnPrompt(turn)
    if (prompt.messages.length === 0 || !this.#sideRequests.isContinuation(key, prompt.messages.slice(0, replyAt)))
      return false
    this.#sideRequests.forget(key)
    return true
  }

  /** If the client's freeze failed, the session is frozen with its next turn. */
  async #recordClientFreeze(
    session: LiveSession,
    window: WindowRecord | undefined,
    nextAtTokens: number,
  ): Promise<void> {
    const { freezes, now } = this.#parts
    if (window?.state !== 'frozen') return
    const count = session.record.auto?.count ?? 0
    session.change({ auto: { count, window: window.name, at: now(), nextAtTokens } })
    await freezes.save(session)
  }

  #isDue(key: string, auto: AutoFreezes | undefined, tokens: number): boolean {
    if (this.#filling.has(key)) return false
    const last = Math.max(auto?.at ?? 0, this.#tried.get(key) ?? 0)
    if (this.#parts.now() - last < this.#parts.cooldownMs) return false
    return auto?.nextAtTokens === undefined || tokens >= auto.nextAtTokens
  }

  /** Without a slot or a place in the queue the freeze is skipped, and tried again with the next turn. */
  async #claimAndFreeze(
    key: string,
    finished: FinishedTurn,
    nextAtTokens: number,
    options: CallOptions,
  ): Promise<WindowRecord | undefined> {
    const claim = this.#parts.freezeSlots.claim(finished.sharer)
    this.#tried.set(key, this.#parts.now())
    try {
      return await this.#freezeFull(finished, nextAtTokens, options, claim)
    } finally {
      claim.release()
    }
  }

  async #freezeFull(
    finished: FinishedTurn,
    nextAtTokens: number,
    options: CallOptions,
    claim: BackgroundClaim,
  ): Promise<WindowRecord | undefined> {
    const { session, turn } = finished
    const { freezes, windows, now } = this.#parts
    const content = readTurnPrompt(turn)
    // A turn that continues a stored response does not hold the whole prompt.
    if (content.prompt.messages.length === 0) return undefined
    const before = session.record.auto
    const { count, reservation } = await freezes.reserve(session)
    const { name } = reservation
    const { clientSalt, lineage } = turn
    const parent = session.record.rollover?.window ?? turn.parent
    session.change({ auto: { count, window: name, at: now(), nextAtTokens } })
    await freezes.save(session)
    const request: FreezeRequest = { ...content, session, name, clientSalt, lineage, parent, tags: [autoTag] }
    let done: WindowRecord | undefined
    let isRecorded = false
    try {
      const onRecorded = () => {
        isRecorded = true
      }
      const how = { claim: () => claim, onRecorded }
      done = await windows.freeze(request, reservation, { ...options, actor: 'cwm' }, how)
      return done
    } finally {
      const { auto } = session.record
      // Recorded without an outcome (displaced from the queue, store away): the reconciler finishes the window, so no other is frozen for it.
      const isUnfinished = isRecorded && done === undefined
      // Otherwise retried on the next turn after the cooldown.
      if (!isUnfinished && done?.state !== 'frozen' && auto?.window === name) {
        session.change({ auto: withNext(auto, before?.nextAtTokens) })
      }
    }
  }
}

function tokensOf({ contextTokens, totalTokens }: Usage): number {
  return contextTokens ?? totalTokens
}

function withNext(auto: AutoFreezes, nextAtTokens: number | undefined): AutoFreezes {
  return nextAtTokens === undefined ? rearmed(auto) : { ...auto, nextAtTokens }
}
