// Rejects bodies that arrive too slowly. One timer checks all of them, because a timer per body would cost too much.

export interface ArrivalLimits {
  /** How long a body may take before its rate counts, milliseconds. */
  readonly graceMs: number
  /** Average rate required after the grace time, bytes per second; 0 requires none. */
  readonly minBytesPerSecond: number
}

/** A body that has not arrived completely. */
export interface ArrivingBody {
  /** By `performance.now()`. */
  readonly since: number
  /** Bytes that have arrived. */
  readonly length: number
  giveUp(limits: ArrivalLimits): void
}

const CHECK_MS = 1_000

export class ArrivingBodies {
  readonly #limits: ArrivalLimits
  /** Bounded by the open connections. */
  readonly #bodies = new Set<ArrivingBody>()
  #timer: NodeJS.Timeout | undefined

  constructor(limits: ArrivalLimits) {
    this.#limits = limits
  }

  /** Watches a body until `delete`, or until it is given up. */
  add(body: ArrivingBody): void {
    if (this.#limits.minBytesPerSecond === 0) return
    this.#bodies.add(body)
    // Without bodies, the timer ends with its next check.
    this.#timer ??= setTimeout(() => this.#check(), CHECK_MS).unref()
  }

  delete(body: ArrivingBody): void {
    this.#bodies.delete(body)
  }

  #check(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const body of this.#bodies) {
      if (!this.#isSlow(body, now)) continue
      this.#bodies.delete(body)
      body.giveUp(this.#limits)
    }
    if (this.#bodies.size > 0) this.#timer = setTimeout(() => this.#check(), CHECK_MS).unref()
  }

  #isSlow({ since, length }: ArrivingBody, now: number): boolean {
    const { graceMs, minBytesPerSecond } = this.#limits
    return length < ((now - since - graceMs) / 1000) * minBytesPerSecond
  }
}
