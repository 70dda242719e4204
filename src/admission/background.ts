// Admission of background work: freezes that continue after their answer, repairs, deletes. It has separate slots, so that a full cwm still
// deletes, and background work cannot flood the engine. Deletes and freezes have separate slots and never wait for each other.

import { CwmError } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import { retryAfter } from './admission.ts'
import { type BackgroundClaim, QueuedClaim } from './background-claim.ts'
import { FairSlots, type Line } from './fair-slots.ts'

export type BackgroundKind = 'freezes' | 'deletes'

export interface BackgroundOptions {
  readonly kind: BackgroundKind
  /** Maximum pieces of work at once. */
  readonly slots: number
  /** A sharer's maximum of requests in flight, if it has one. It limits the sharer's background work too, counted separately. */
  readonly boundOf: (sharer: string) => number | undefined
}

export interface RunOptions {
  /** Ends the wait, not the work. */
  readonly signal?: AbortSignal | undefined
  /** False: do not wait if no slot is free. Default true. */
  readonly waits?: boolean
}

type RefusalReason = 'no_slot' | 'queue_full' | 'deadline'

/** Requests in flight for each background slot. */
const REQUESTS_PER_SLOT = 16
/** One for freezes, one for deletes. */
const MIN_BACKGROUND = 2
/** One of this many slots is for deletes: they seldom use the engine, and most take less than a second. */
const DELETES_ONE_IN = 4
/** How many jobs of a kind may wait. Each may hold a whole conversation, or its token ids. */
const MAX_WAITING = 64
/** How long `run` waits. Its callers try again later. */
const WAIT_MS = 30_000

/** The default number of background slots for a limit of requests in flight. */
export function backgroundShare(maxInFlight: number): number {
  return Math.max(MIN_BACKGROUND, Math.ceil(maxInFlight / REQUESTS_PER_SLOT))
}

/** Divides the background slots among the kinds. */
export function slotsByKind(slots: number): Readonly<Record<BackgroundKind, number>> {
  const deletes = Math.max(1, Math.floor(slots / DELETES_ONE_IN))
  return { freezes: slots - deletes, deletes }
}

export class BackgroundSlots {
  readonly #options: BackgroundOptions
  readonly #metrics: Pick<Metrics, 'backgroundRefused'>
  readonly #slots: FairSlots
  /** Claims that may wait. Bounded by `MAX_WAITING`. */
  readonly #queued = new Set<QueuedClaim>()
  #closedWith: CwmError | undefined

  constructor(options: BackgroundOptions, metrics: Pick<Metrics, 'backgroundRefused' | 'watch'>) {
    const { kind, slots } = options
    this.#options = options
    this.#metrics = metrics
    this.#slots = new FairSlots(slots, MAX_WAITING)
    metrics.watch(`cwm_background_${kind}`, `Background ${kind} that are running`, () => this.#slots.held)
    metrics.watch(`cwm_background_${kind}_queued`, `Background ${kind} that wait for a slot`, () => this.#slots.waiting)
  }

  /** Throws what `claim` would throw now. */
  checkRoom(sharer: string): void {
    if (this.#closedWith !== undefined) throw this.#closedWith
    const line = this.#lineOf(sharer)
    const hasRoom = this.#slots.hasRoom(line)
    this.#slots.forget(line)
    if (!hasRoom) throw this.#refusal('queue_full')
  }

  /** Takes a slot, or a place in the queue. Throws `OVERLOADED` if the queue is full, and `SHUTTING_DOWN`. */
  claim(sharer: string): BackgroundClaim {
    return this.#begin(sharer)
  }

  /**
   * Runs work in a slot. Throws `OVERLOADED` if the queue is full or no slot is free within half a minute, `SHUTTING_DOWN` if cwm or the
   * signal stops it before, and what the work throws.
   */
  async run<T>(sharer: string, work: () => Promise<T>, { signal, waits = true }: RunOptions = {}): Promise<T> {
    if (signal?.aborted === true) throw stopped()
    const claim = this.#begin(sharer)
    if (!waits) claim.cancel(() => this.#refusal('no_slot'))
    const stop = () => claim.cancel(stopped)
    if (!claim.waits) return await claim.run(work)
    const timer = setTimeout(() => claim.cancel(() => this.#refusal('deadline')), WAIT_MS)
    signal?.addEventListener('abort', stop, { once: true })
    const endWait = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
    }
    try {
      return await claim.run(() => {
        endWait()
        return work()
      })
    } finally {
      endWait()
    }
  }

  /** Rejects with this error whatever waits, and whatever would begin from now on. */
  close(error: CwmError): void {
    this.#closedWith = error
    for (const claim of this.#queued) claim.cancel(() => error)
    this.#queued.clear()
  }

  #begin(sharer: string): QueuedClaim {
    if (this.#closedWith !== undefined) throw this.#closedWith
    const line = this.#lineOf(sharer)
    const claim = new QueuedClaim(this.#slots, line, () => this.#refusal('queue_full'))
    if (!claim.begin()) {
      this.#slots.forget(line)
      throw this.#refusal('queue_full')
    }
    if (claim.waits) this.#remember(claim)
    return claim
  }

  #remember(claim: QueuedClaim): void {
    for (const known of this.#queued) if (!known.waits) this.#queued.delete(known)
    this.#queued.add(claim)
  }

  /** No sharer has more than half, so that one sharer's long freezes do not keep all others waiting. */
  #lineOf(sharer: string): Line {
    const { slots, boundOf } = this.#options
    return this.#slots.lineOf(sharer, Math.min(Math.ceil(slots / 2), boundOf(sharer) ?? slots))
  }

  #refusal(reason: RefusalReason): CwmError {
    const { kind } = this.#options
    this.#metrics.backgroundRefused.inc({ kind, reason })
    return new CwmError(
      'OVERLOADED',
      `cwm is at its limit of background ${kind} (setting max_background); try again later`,
      { retryAfterS: retryAfter() },
    )
  }
}

function stopped(): CwmError {
  return new CwmError('SHUTTING_DOWN', 'cwm stopped before this work began')
}
