// Limits the bytes of request bodies held at any moment, over all requests. A limit per body alone does not bound memory.

import { CwmError } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import { retryAfter } from './admission.ts'

export class BodyBudget {
  readonly #maxBytes: number
  readonly #metrics: Pick<Metrics, 'refused'>
  /** Bytes by tenant, without tenants that hold none. */
  readonly #held = new Map<string, number>()
  #used = 0

  constructor(maxBytes: number, metrics: Pick<Metrics, 'refused' | 'watch'>) {
    this.#maxBytes = maxBytes
    this.#metrics = metrics
    metrics.watch('cwm_body_bytes', 'Bytes of request bodies held in memory', () => this.#used)
  }

  /** Opens an empty reservation for one request. It is released when the scope closes. */
  open(tenant: string, scope: RequestScope): BodyReservation {
    const held = new BodyReservation((from, to) => this.#change(tenant, from, to))
    if (scope.isGone) held.release()
    else scope.onClose(() => held.release())
    return held
  }

  #change(tenant: string, from: number, to: number): void {
    const others = (this.#held.get(tenant) ?? 0) - from
    const free = this.#maxBytes - this.#used + from - to
    // A tenant with more than one body must leave as much free as it holds. So no tenant can take it all, without a limit per tenant.
    if (to > from && (free < 0 || (others > 0 && others + to > free))) {
      this.#metrics.refused.inc({ code: 'overloaded', reason: 'body_bytes' })
      throw new CwmError(
        'OVERLOADED',
        'cwm is at its limit for bytes of request bodies (setting max_body_bytes_in_all); try again later',
        { retryAfterS: retryAfter() },
      )
    }
    this.#used += to - from
    if (others + to === 0) this.#held.delete(tenant)
    else this.#held.set(tenant, others + to)
  }
}

/** One request's share of the budget. */
export class BodyReservation {
  readonly #change: (from: number, to: number) => void
  #bytes = 0
  #released = false

  constructor(change: (from: number, to: number) => void) {
    this.#change = change
  }

  /** Changes the reservation to `bytes`. Throws `OVERLOADED` and stays as it was if they are not available. Does nothing after `release`. */
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
