// Work that blocks the process, one piece at a time: tenants take turns, and everybody else is answered in between.

import { setImmediate as nextRound } from 'node:timers/promises'
import { CwmError } from './errors.ts'

/** On whose behalf work is done. */
export interface Asker {
  readonly tenant: string
  /** Whether its client has left. */
  readonly isGone: () => boolean
  /** Tells when its client leaves, or its connection is closed by the end of cwm. */
  readonly onGone: (told: () => void) => void
}

interface Waiter {
  readonly begin: () => void
}

export class FairTurns {
  readonly #maxWaiting: number
  /** By tenant, who waits, oldest first; the first line has the next turn. */
  readonly #lines = new Map<string, Set<Waiter>>()
  #waiting = 0
  #busy = false

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Does the work when its turn has come. Resolves one round of the event loop later, and the next turn is one more round away, so that what
   * the caller goes on with stands alone too. Throws `OVERLOADED` where too many wait, `CLIENT_GONE`, and what the work throws.
   */
  async run<T>(asker: Asker, work: () => T): Promise<T> {
    if (asker.isGone()) throw gone()
    if (this.#busy) await this.#wait(asker)
    this.#busy = true
    try {
      return work()
    } finally {
      await nextRound()
      setImmediate(() => this.#next())
    }
  }

  #wait(asker: Asker): Promise<void> {
    if (this.#waiting >= this.#maxWaiting) {
      throw new CwmError('OVERLOADED', `${this.#waiting} large request bodies wait to be read; send it again later`, {
        retryAfterS: 1,
      })
    }
    const { tenant } = asker
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { begin: resolve }
      const line = this.#lines.get(tenant) ?? new Set()
      line.add(waiter)
      this.#lines.set(tenant, line)
      this.#waiting++
      asker.onGone(() => {
        if (!line.has(waiter)) return
        this.#leave(tenant, line, waiter)
        reject(gone())
      })
    })
  }

  #leave(tenant: string, line: Set<Waiter>, waiter: Waiter): void {
    line.delete(waiter)
    this.#waiting--
    if (line.size === 0) this.#lines.delete(tenant)
  }

  /** The line whose turn it was goes behind all others. */
  #next(): void {
    const [first] = this.#lines
    if (first === undefined) {
      this.#busy = false
      return
    }
    const [tenant, line] = first
    const [waiter] = line
    this.#lines.delete(tenant)
    this.#lines.set(tenant, line)
    if (waiter === undefined) return
    this.#leave(tenant, line, waiter)
    waiter.begin()
  }
}

function gone(): CwmError {
  return new CwmError('CLIENT_GONE', 'the client left before its request body was read')
}
