// Limits the bytes of answers in memory: those that cwm keeps to read them, and those that wait for their client. Fair by sharer, so that
// clients that do not read use up only their own share.

import { CwmError } from '../base/errors.ts'
import { FairBudget } from '../base/fair-budget.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import { retryAfter } from './admission.ts'
import { ByteReservation } from './byte-reservation.ts'

export class AnswerBudget {
  readonly #bytes: FairBudget
  readonly #metrics: Pick<Metrics, 'refused'>

  constructor(maxBytes: number, metrics: Pick<Metrics, 'refused' | 'watch'>) {
    this.#bytes = new FairBudget(maxBytes)
    this.#metrics = metrics
    metrics.watch('cwm_answer_bytes', 'Bytes of answers held in memory', () => this.#bytes.used)
  }

  /** Changes what one answer holds. Returns false, and changes nothing, if more is not available. */
  change(sharer: string, from: number, to: number): boolean {
    return this.#bytes.change(sharer, from, to)
  }

  /** Opens an empty reservation for an answer of cwm's own, which throws `OVERLOADED`. It is released when the scope closes. */
  open(sharer: string, scope: RequestScope): ByteReservation {
    return ByteReservation.during(scope, (from, to) => {
      if (this.#bytes.change(sharer, from, to)) return
      this.#metrics.refused.inc({ code: 'overloaded', reason: 'answer_bytes' })
      throw new CwmError(
        'OVERLOADED',
        'too many answers wait for their clients to read them (setting max_observed_bytes_in_all); read the answers to your other requests, then try again',
        { retryAfterS: retryAfter() },
      )
    })
  }
}
