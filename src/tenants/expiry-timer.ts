// Calls back when a key expires, so that whatever lasts longer than a request can be checked again. One timer, for the next key.

import type { Now } from '../base/clock.ts'

/** Timers are limited to 24 days. */
const MAX_WAIT_MS = 86_400_000

export class ExpiryTimer {
  readonly #now: Now
  readonly #next: (now: number) => number | undefined
  #onExpiry = () => {}
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  /** `next`: when the next key expires after `now`; undefined if none does. */
  constructor(now: Now, next: (now: number) => number | undefined) {
    this.#now = now
    this.#next = next
  }

  onExpiry(callback: () => void): void {
    this.#onExpiry = callback
  }

  /** Call this after a change of the keys. */
  arm(): void {
    clearTimeout(this.#timer)
    if (this.#isClosed) return
    const now = this.#now()
    const at = this.#next(now)
    if (at === undefined) return
    this.#timer = setTimeout(() => this.#fire(at), Math.min(at - now, MAX_WAIT_MS))
    this.#timer.unref()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  #fire(at: number): void {
    const isDue = this.#now() >= at
    this.arm()
    if (isDue) this.#onExpiry()
  }
}
