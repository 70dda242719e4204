// Sessions with a turn in flight in this process. They must stay in memory: a second object for the same session would undo the changes of
// the first.

import type { LiveSession } from './live-session.ts'

export class InFlight {
  /** By session key. Bounded by the number of concurrent turns. */
  readonly #held = new Map<string, LiveSession>()

  /** Each call needs a matching `release`. */
  hold(session: LiveSession): void {
    session.turnsInFlight++
    if (!this.#held.has(session.key)) this.#held.set(session.key, session)
  }

  release(session: LiveSession): void {
    session.turnsInFlight--
    if (session.turnsInFlight === 0 && this.#held.get(session.key) === session) this.#held.delete(session.key)
  }

  get(key: string): LiveSession | undefined {
    return this.#held.get(key)
  }

  drop(key: string): void {
    this.#held.delete(key)
  }

  /** The sessions whose next turns would be dispatched under that lineage. */
  ofLineage(tenant: string, lineage: string): readonly LiveSession[] {
    return [...this.#held.values()].filter(({ record }) => record.tenant === tenant && record.lineage === lineage)
  }
}
