// Whether the upstream is worth asking. Closed: it is. Open, after so many connection failures in a row: it is not asked. Half-open: one
// request shows whether it is back. Knows no network and no timer: it is told what became of each request (docs/decisions/0009).

import type { Now } from '../base/clock.ts'
import type { CwmError } from '../base/errors.ts'
import type { BreakerState } from './engine.ts'

/** `probe`: it may go, and what becomes of it decides. */
export type Admission = 'pass' | 'probe' | 'refuse'

export interface BreakerOptions {
  /** Connection failures in a row that open it; 0: nothing does. */
  readonly failures: number
  /** Time between opening and the next probe, and between two probes, milliseconds. */
  readonly openMs: number
  readonly now: Now
  /** Each change of state; with the failure that opened it. */
  readonly onChange: (state: BreakerState, failure: CwmError | undefined) => void
}

export class Breaker {
  readonly #options: BreakerOptions
  #state: BreakerState = 'closed'
  #failuresInRow = 0
  /** When the next probe may go; milliseconds since the epoch. */
  #probeAt = 0
  /** The probe under way has its connection. */
  #connected = false

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  get state(): BreakerState {
    return this.#state
  }

  /** Milliseconds until the next request may go. */
  get waitMs(): number {
    return this.#state === 'closed' ? 0 : Math.max(0, this.#probeAt - this.#options.now())
  }

  /** What a request that is to be sent now may do. */
  admit(): Admission {
    if (this.#state === 'closed') return 'pass'
    const now = this.#options.now()
    if (now < this.#probeAt) return 'refuse'
    if (this.#state === 'half_open' && this.#connected) {
      // A probe that is a long prefill: its connection has held for as long as one is given, and connections are all that is judged here.
      this.#change('closed')
      return 'pass'
    }
    this.#probeAt = now + this.#options.openMs
    this.#connected = false
    this.#change('half_open')
    return 'probe'
  }

  /** A probe has got its connection. */
  connected(): void {
    this.#connected = true
  }

  /** The upstream began to answer, with whatever status. An answer to a request from before it opened does not close it. */
  answered(probe: boolean): void {
    if (this.#state === 'closed') this.#failuresInRow = 0
    else if (probe) this.#change('closed')
  }

  /** The connection could not be made, or broke before a byte of the answer. */
  failed(probe: boolean, failure: CwmError): void {
    if (this.#state === 'closed') {
      this.#failuresInRow++
      if (this.#failuresInRow === this.#options.failures) this.#open(failure)
    } else if (probe && this.#state === 'half_open') this.#open(failure)
  }

  /** The request ended before either could be told: its client left. */
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
