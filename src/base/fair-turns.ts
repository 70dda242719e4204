// Runs work that blocks the event loop, one piece at a time. Sharers take turns, and other requests are answered in between.

import { setImmediate as nextRound } from 'node:timers/promises'
import { CwmError, clientGone } from './errors.ts'
import type { RequestScope } from './request-scope.ts'

/** The client that the work is done for. */
export interface Requester {
  /** Whose turn the work takes: `Caller.sharer`. */
  readonly sharer: string
  /** Closes when the client leaves, or when cwm closes its connection at shutdown. */
  readonly scope: Pick<RequestScope, 'isGone' | 'onClose'>
}

interface Waiter {
  readonly begin: () => void
}

export class FairTurns {
  readonly #maxWaiting: number
  /** The waiting work by sharer, oldest first. The first sharer has the next turn. */
  readonly #lines = new Map<string, Set<Waiter>>()
  #waiting = 0
  #busy = false

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** The number of waiting pieces of work. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Runs the work when its turn comes, and resolves one iteration of the event loop later. The next turn starts another iteration later, so
   * the caller's continuation has its own iteration. Throws `OVERLOADED` if too much is waiting, `CLIENT_GONE`, and what the work
   * throws.
   */
  async run<T>(requester: Requester, work: () => T): Promise<T> {
    if (requester.scope.isGone) throw unparsed()
    if (this.#busy) await this.#wait(requester)
    this.#busy = true
    try {
      return work()
    } finally {
      await nextRound()
      setImmediate(() => this.#next())
    }
  }

  #wait(requester: Requester): Promise<void> {
    if (this.#waiting >= this.#maxWaiting) {
      throw new CwmError(
        'OVERLOADED',
        `${this.#waiting} large request bodies are already waiting to be parsed; retry later`,
        {
          retryAfterS: 1,
        },
      )
    }
    const { sharer } = requester
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { begin: resolve }
      const line = this.#lines.get(sharer) ?? new Set()
      line.add(waiter)
      this.#lines.set(sharer, line)
      this.#waiting++
      requester.scope.onClose(() => {
        if (!line.has(waiter)) return
        this.#leave(sharer, line, waiter)
        reject(unparsed())
      })
    })
  }

  #leave(sharer: string, line: Set<Waiter>, waiter: Waiter): void {
    line.delete(waiter)
    this.#waiting--
    if (line.size === 0) this.#lines.delete(sharer)
  }

  /** Starts the next waiting work, and moves its sharer to the end. */
  #next(): void {
    const [first] = this.#lines
    if (first === undefined) {
      this.#busy = false
      return
    }
    const [sharer, line] = first
    const [waiter] = line
    this.#lines.delete(sharer)
    this.#lines.set(sharer, line)
    if (waiter === undefined) return
    this.#leave(sharer, line, waiter)
    waiter.begin()
  }
}

function unparsed(): CwmError {
  return clientGone('its request body was parsed')
}
