// The freeze before a cut: messages are recorded before they are removed from the prompt. If recording fails, nothing is cut.

import { setTimeout as sleep } from 'node:timers/promises'
import type { BackgroundSlots } from '../admission/background.ts'
import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { EventSink } from '../base/events.ts'
import type { Prompt, Rollover } from '../base/records.ts'
import { SingleFlight } from '../base/single-flight.ts'
import type { NearLimit } from '../base/tenants.ts'
import { rulesOf } from '../dialects/index.ts'
import type { CallOptions } from '../engines/engine.ts'
import { cutTag } from '../limits/rollover.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { Store } from '../store/store.ts'
import { autoTag, isBeforeCut, rolloverTag } from '../windows/auto-names.ts'
import { acquireLease, leaseKeys } from '../windows/lease.ts'
import type { FreezeRequest } from '../windows/new-window.ts'
import { type AutoFreezeRunner, type AutoFreezeRunnerParts, rearmed } from './auto-freeze-runner.ts'
import { contentBeforeCut } from './cut-content.ts'

export interface CutFreezeParts extends Omit<AutoFreezeRunnerParts, 'budget' | 'sessions'> {
  readonly freezes: AutoFreezeRunner
  readonly freezeSlots: Pick<BackgroundSlots, 'claim'>
  readonly retained: Pick<RetainedTurns, 'find'>
  readonly store: Pick<Store, 'acquireLease' | 'releaseLease' | 'getWindow'>
  readonly events: EventSink
  readonly now: Now
}

/** A turn about to be sent cut. */
export interface TurnToCut {
  readonly session: LiveSession
  /** The whole prompt, as it would be sent uncut. */
  readonly prompt: Prompt
  readonly clientSalt: string | undefined
  /** The lineage that the turn is sent under, and its base window. */
  readonly lineage: string
  readonly parent: string | undefined
  readonly cut: { readonly digest: string; readonly dropped: readonly number[] }
  readonly nearLimit: NearLimit
  /** Whose background slot the verification takes. */
  readonly sharer: string
}

/** How long a turn waits for another proxy that is recording the same cut. */
const CUT_WAIT_MS = 10_000
const CUT_POLL_MS = 50

/** Records the full prompt before it is cut. */
export class CutFreezer {
  readonly #parts: CutFreezeParts
  /** By session and cut. */
  readonly #cutting = new SingleFlight<Rollover>()

  constructor(parts: CutFreezeParts) {
    this.#parts = parts
  }

  /** The session's current cut, as long as the window with the full prompt exists. Once that window is deleted, the cut is void. */
  async currentRollover(session: LiveSession): Promise<Rollover | undefined> {
    const { tenant, rollover } = session.record
    if (rollover === undefined) return undefined
    const window = await this.#parts.store.getWindow(tenant, rollover.window).catch((thrown: unknown) => {
      // The window was stored, and an unreachable store deletes nothing.
      if (toCwmError(thrown).code === 'STORE_UNAVAILABLE') return 'unknown' as const
      throw thrown
    })
    if (window === 'unknown' || (window !== undefined && window.state !== 'failed')) return rollover
    if (session.record.rollover === rollover) session.change({ rollover: undefined })
    return undefined
  }

  /** Records a cut whose full prompt is in that window, and emits an event for it. */
  recordRollover(session: LiveSession, cut: TurnToCut['cut'], window: string): Rollover {
    const { events, metrics, log, now } = this.#parts
    const { tenant, id, auto } = session.record
    const rollover = { cut: cut.digest, window, messages: cut.dropped.length, at: now() }
    session.change({ rollover, ...(auto === undefined ? {} : { auto: rearmed(auto) }) })
    metrics.rollovers.inc()
    log.info({ session: id, window, messages: rollover.messages }, 'context rolled over')
    events.emit({ tenant, kind: 'rolled_over', session: id, window, details: { messages: rollover.messages } })
    return rollover
  }

  /**
   * Freezes what a cut would lose. Resolves once the window is stored; its verification continues in the background. Throws if it cannot be
   * stored (`QUOTA_EXCEEDED`, `STORE_UNAVAILABLE`, …); the turn must then not be cut. Concurrent callers with the same cut of a session share
   * one window. Call `currentRollover` first.
   */
  beforeCut(turn: TurnToCut, { apiKey }: CallOptions): Promise<Rollover> {
    const { session, cut } = turn
    const { tenant, id } = session.record
    const key = JSON.stringify([tenant, id, cut.digest])
    return this.#cutting.run(key, () => this.#recordCut(turn, { apiKey }))
  }

  async #recordCut(turn: TurnToCut, options: CallOptions): Promise<Rollover> {
    const { store, now } = this.#parts
    const { session, cut } = turn
    const { tenant, id } = session.record
    for (const until = now() + CUT_WAIT_MS; ; await sleep(CUT_POLL_MS)) {
      const held = await acquireLease(store, leaseKeys.cut(tenant, id, cut.digest))
      if (held !== undefined) {
        try {
          return (await this.#findRecordedCut(turn)) ?? (await this.#freezeCut(turn, options))
        } finally {
          held.release()
        }
      }
      if (now() > until) throw new CwmError('BUSY', 'another proxy is freezing this session; try again')
    }
  }

  /** The cut may already be recorded by another proxy, or by this one before a restart. */
  async #findRecordedCut({ session, cut }: TurnToCut): Promise<Rollover | undefined> {
    const { tenant, id, createdAt, auto } = session.record
    const tags = [rolloverTag, cutTag(cut.digest)]
    const { items } = await this.#parts.windows.list(tenant, { tags, sessionId: id, createdFrom: createdAt, limit: 10 })
    const window = items.find((item) => isBeforeCut(item) && item.state !== 'failed')
    if (window === undefined) return undefined
    const rollover = {
      cut: cut.digest,
      window: window.name,
      messages: cut.dropped.length,
      at: window.createdAt,
    }
    session.change({ rollover, ...(auto === undefined ? {} : { auto: rearmed(auto) }) })
    return rollover
  }

  async #freezeCut(turn: TurnToCut, options: CallOptions): Promise<Rollover> {
    const { freezes, freezeSlots, windows, retained } = this.#parts
    const { session, prompt, cut, nearLimit, sharer } = turn
    const { tenant, id, rollover: before } = session.record
    const last = await retained.find(tenant, id)
    const content = contentBeforeCut({ rules: rulesOf(prompt.dialect), prompt, dropped: cut.dropped, last, before })
    // The space of its KV, if any of it is known to exist.
    const { lineage, clientSalt } = last !== undefined && content.textFrom !== 0 ? last : turn
    const { count, reservation } = await freezes.reserve(session)
    const { name } = reservation
    const request: FreezeRequest = {
      ...content,
      session,
      name,
      clientSalt,
      lineage,
      parent: before?.window ?? turn.parent,
      tags: [autoTag, rolloverTag, cutTag(cut.digest)],
    }
    await new Promise<void>((resolve, reject) => {
      freezes.run(session, nearLimit, async () => {
        // Recording uses the turn's slot. The verification outlives the turn, so it takes its own.
        const background = { onRecorded: resolve, claim: () => freezeSlots.claim(sharer) }
        const frozen = windows.freeze(request, reservation, { ...options, actor: 'cwm' }, background)
        // A later failure changes nothing: the promise resolved when the window was recorded.
        frozen.catch(reject)
        return await frozen
      })
    })
    const rollover = this.recordRollover(session, cut, name)
    session.change({ auto: { count, window: name, at: rollover.at } })
    await freezes.save(session)
    return rollover
  }
}
