// Bytes of request bodies that are held at one moment, of all requests together: a bound for each body alone is none for memory.

import { CwmError } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import { retryAfter } from './admission.ts'

export class BodyBudget {
  readonly #maxBytes: number
  readonly #metrics: Pick<Metrics, 'refused'>
  /** By tenant, of those who hold any. */
  readonly #held = new Map<string, number>()
  #used = 0

  constructor(maxBytes: number, metrics: Pick<Metrics, 'refused' | 'watch'>) {
    this.#maxBytes = maxBytes
    this.#metrics = metrics
    metrics.watch('cwm_body_bytes', 'Bytes of request bodies that are held', () => this.#used)
  }

  /** Begins the account of one request, which ends with its scope. */
  open(tenant: string, scope: RequestScope): BodyReservation {
    const held = new BodyReservation((from, to) => this.#change(tenant, from, to))
    if (scope.isGone) held.release()
    else scope.onClose(() => held.release())
    return held
  }

  #change(tenant: string, from: number, to: number): void {
    const others = (this.#held.get(tenant) ?? 0) - from
    const free = this.#maxBytes - this.#used + from - to
    // Beyond one body, a tenant leaves to others as much as it holds: so none takes it all, and none needs a bound of its own.
    if (to > from && (free < 0 || (others > 0 && others + to > free))) {
      this.#metrics.refused.inc({ code: 'overloaded', reason: 'body_bytes' })
      throw new CwmError(
        'OVERLOADED',
        'cwm holds as many bytes of request bodies as it may (setting max_body_bytes_in_all); send it again later',
        { retryAfterS: retryAfter() },
      )
    }
    this.#used += to - from
    if (others + to === 0) this.#held.delete(tenant)
    else this.#held.set(tenant, others + to)
  }
}

/** What one request holds of the budget. */
export class BodyReservation {
  readonly #change: (from: number, to: number) => void
  #bytes = 0
  #released = false

  constructor(change: (from: number, to: number) => void) {
    this.#change = change
  }

  /** Says how many bytes it holds now. Throws `OVERLOADED`, and holds what it did. After `release` it holds nothing any more. */
  set(bytes: number): void {
    if (this.#released || bytes === this.#bytes) return
    this.#change(this.#bytes, bytes)
    this.#bytes = bytes
  }

  release(): void {
    this.set(0)
    this.#released = true
  }
}
