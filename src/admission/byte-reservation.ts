// One request's share of a budget of bytes.

import type { RequestScope } from '../base/request-scope.ts'

export class ByteReservation {
  readonly #change: (from: number, to: number) => void
  #bytes = 0
  #released = false

  /** `change` throws if the budget has no room for a larger reservation. */
  constructor(change: (from: number, to: number) => void) {
    this.#change = change
  }

  /** An empty reservation that is released when the scope closes. */
  static during(scope: RequestScope, change: (from: number, to: number) => void): ByteReservation {
    const held = new ByteReservation(change)
    if (scope.isGone) held.release()
    else scope.onClose(() => held.release())
    return held
  }

  /** Changes the reservation to `bytes`. Throws `OVERLOADED` and stays as it was if they are not available. Does nothing after `release`. */
  set(bytes: number): void {
    if (this.#released || bytes === this.#bytes) return
    this.#change(this.#bytes, bytes)
    this.#bytes = bytes
  }

  /** Adds to the reservation. Throws as `set`. */
  add(bytes: number): void {
    this.set(this.#bytes + bytes)
  }

  release(): void {
    this.set(0)
    this.#released = true
  }
}
