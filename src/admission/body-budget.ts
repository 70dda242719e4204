// Limits the bytes of request bodies held at any moment, over all requests. A limit per body alone does not bound memory.

import { CwmError } from '../base/errors.ts'
import { FairBudget } from '../base/fair-budget.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import { retryAfter } from './admission.ts'
import { ByteReservation } from './byte-reservation.ts'

export class BodyBudget {
  readonly #bytes: FairBudget
  readonly #metrics: Pick<Metrics, 'refused'>

  constructor(maxBytes: number, metrics: Pick<Metrics, 'refused' | 'watch'>) {
    this.#bytes = new FairBudget(maxBytes)
    this.#metrics = metrics
    metrics.watch('cwm_body_bytes', 'Bytes of request bodies held in memory', () => this.#bytes.used)
  }

  /** Opens an empty reservation for one request. It is released when the scope closes. */
  open(sharer: string, scope: RequestScope): ByteReservation {
    return ByteReservation.during(scope, (from, to) => this.#change(sharer, from, to))
  }

  #change(sharer: string, from: number, to: number): void {
    if (this.#bytes.change(sharer, from, to)) return
    this.#metrics.refused.inc({ code: 'overloaded', reason: 'body_bytes' })
    throw new CwmError(
      'OVERLOADED',
      'cwm is at its limit for bytes of request bodies (setting max_body_bytes_in_all); try again later',
      { retryAfterS: retryAfter() },
    )
  }
}
