// Sessions with a turn in flight in this process: were one dropped, a second object of it would undo what the first one does.

import type { LiveSession } from './live-session.ts'

export class InFlight {
  /** By session key; bounded by the turns that run at once. */
  readonly #held = new Map<string, { readonly session: LiveSession; turns: number }>()

  /** Each call needs its `release`. */
  hold(key: string, session: LiveSession): void {
    const held = this.#held.get(key)
    if (held === undefined) this.#held.set(key, { session, turns: 1 })
    else held.turns++
  }

  release(key: string, session: LiveSession): void {
    const held = this.#held.get(key)
    if (held?.session !== session) return
    held.turns--
    if (held.turns === 0) this.#held.delete(key)
  }

  get(key: string): LiveSession | undefined {
    return this.#held.get(key)?.session
  }

  drop(key: string): void {
    this.#held.delete(key)
  }

  /** Those whose next turns would be dispatched under that lineage. */
  under(tenant: string, lineage: string): readonly LiveSession[] {
    const all = Array.from(this.#held.values(), ({ session }) => session)
    return all.filter(({ record }) => record.tenant === tenant && record.lineage === lineage)
  }
}
