// A circuit breaker for the upstream. Closed: requests pass. Open, after several connection failures in a row: requests are refused.
// Half-open: one probe shows whether the upstream is back. It has no network or timer; its caller reports the outcome of each request
// (docs/decisions/0009).

import type { Now } from '../base/clock.ts'
import type { CwmError } from '../base/errors.ts'
import type { BreakerState } from './engine.ts'

/** `probe`: the request may be sent, and its outcome decides the next state. */
export type Admission = 'pass' | 'probe' | 'refuse'

export interface BreakerOptions {
  /** Consecutive connection failures that open the breaker; 0: it never opens. */
  readonly failures: number
  /** Time from opening to the next probe, and between two probes, milliseconds. */
  readonly openMs: number
  readonly now: Now
  /** Called on each change of state, with the failure if one opened it. */
  readonly onChange: (state: BreakerState, failure: CwmError | undefined) => void
}

export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState = 'closed'
  #failuresInRow = 0
  /** The earliest time of the next probe, milliseconds since the epoch. */
  #probeAt = 0
  /** Whether the current probe has a connection. */
  #connected = false

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Milliseconds until the next request may be sent. */
  get waitMs(): number {
    return this.#state === 'closed' ? 0 : Math.max(0, this.#probeAt - this.#options.now())
  }

  /** Decides whether a request may be sent now. */
  admit(): Admission {
    if (this.#state === 'closed') return 'pass'
    const now = this.#options.now()
    if (now < this.#probeAt) return 'refuse'
    if (this.#state === 'half_open' && this.#connected) {
      // The probe is a long prefill. Its connection has lasted for `openMs`, and the breaker only judges connections.
      this.#change('closed')
      return 'pass'
    }
    this.#probeAt = now + this.#options.openMs
    this.#connected = false
    this.#change('half_open')
    return 'probe'
  }

  /** Reports that a probe has a connection. */
  connected(): void {
    this.#connected = true
  }

  /** Reports the start of an answer, with any status. An answer to a request sent before the breaker opened does not close it. */
  answered(probe: boolean): void {
    if (this.#state === 'closed') this.#failuresInRow = 0
    else if (probe) this.#change('closed')
  }

  /** Reports that the connection failed, or broke before the first byte of the answer. */
  failed(probe: boolean, failure: CwmError): void {
    if (this.#state === 'closed') {
      this.#failuresInRow++
      if (this.#failuresInRow === this.#options.failures) this.#open(failure)
    } else if (probe && this.#state === 'half_open') this.#open(failure)
  }

  /** Reports that the request gave no verdict on the connection, for example because its client left. */
  undecided(probe: boolean): void {
    if (!probe || this.#state !== 'half_open') return
    this.#probeAt = this.#options.now()
    this.#connected = false
  }

  #open(failure: CwmError): void {
    this.#probeAt = this.#options.now() + this.#options.openMs
    this.#change('open', failure)
  }

  #change(state: BreakerState, failure?: CwmError): void {
    if (state === this.#state) return
    this.#state = state
    this.#failuresInRow = 0
    this.#options.onChange(state, failure)
  }
}
