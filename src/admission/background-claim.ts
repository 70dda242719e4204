// One piece of background work on its way to a slot: it waits, holds a slot, or is over.

import { CwmError } from '../base/errors.ts'
import type { FairSlots, Line, Waiter } from './fair-slots.ts'

/** A slot, or a place in the queue for one. */
export interface BackgroundClaim {
  /**
   * Runs the work once the slot is free, and releases the slot. Call it once. Throws what canceled the claim, `INTERNAL` if it was released
   * before, and what the work throws.
   */
  run<T>(work: () => Promise<T>): Promise<T>
  /** Gives the claim up if it was not run. */
  release(): void
}

export class QueuedClaim implements BackgroundClaim, Waiter {
  readonly #slots: FairSlots
  readonly #line: Line
  readonly #displaced: () => CwmError
  #state: 'waits' | 'held' | 'over' = 'waits'
  #canceledWith: CwmError | undefined
  #wake: (() => void) | undefined

  constructor(slots: FairSlots, line: Line, displaced: () => CwmError) {
    this.#slots = slots
    this.#line = line
    this.#displaced = displaced
  }

  /** Takes a slot or joins the queue. Returns false if there is neither. */
  begin(): boolean {
    if (this.#slots.tryAcquire(this.#line)) {
      this.admit()
      return true
    }
    return this.#slots.wait(this.#line, this)
  }

  get waits(): boolean {
    return this.#state === 'waits'
  }

  admit(): void {
    this.#state = 'held'
    this.#wake?.()
  }

  displace(): void {
    this.cancel(this.#displaced)
  }

  /** Ends the wait with this error; does nothing once it has a slot. */
  cancel(why: () => CwmError): void {
    if (!this.waits) return
    this.#slots.leave(this.#line, this)
    this.#state = 'over'
    this.#canceledWith = why()
    this.#wake?.()
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.waits) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#state !== 'held') throw this.#canceledWith ?? released()
    try {
      return await work()
    } finally {
      this.release()
    }
  }

  release(): void {
    if (this.#state === 'held') this.#slots.release(this.#line)
    else if (this.waits) this.#slots.leave(this.#line, this)
    this.#state = 'over'
    this.#wake?.()
  }
}

function released(): CwmError {
  return new CwmError('INTERNAL', 'background work was given up before it had a slot')
}
