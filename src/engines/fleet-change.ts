// States of the engines of a fleet, what may happen to them, and who is notified.

/**
 * - `up`: gets work.
 * - `starting`: is back, or new, and gets fewer new lineages for a while.
 * - `down`: does not answer. Gets work only if no other engine can do it.
 * - `draining`: healthy, but gets no new work while another engine can do it.
 */
export type MemberState = 'up' | 'starting' | 'down' | 'draining'

/** What happened to the engines. `engine`, `from` and `to` are ids. */
export type FleetChange =
  | { readonly kind: 'added' | 'removed'; readonly engine: string }
  | {
      readonly kind: 'state'
      readonly engine: string
      readonly state: MemberState
      readonly before: MemberState
      /** Why it is down: the code of an error, or a status. */
      readonly reason?: string
    }
  /** A request was not written to one engine, and was sent to another one. */
  | { readonly kind: 'failover'; readonly from: string; readonly to: string }
  /** The KV of one affinity key is placed on another engine from now on. */
  | { readonly kind: 'moved'; readonly from: string; readonly to: string }

type Listener = (change: FleetChange) => void

/** Bounded by the code of `compose`, which adds them at start. */
export class ChangeListeners {
  readonly #listeners = new Set<Listener>()

  /** Returns the function that removes it. */
  add(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tell(change: FleetChange): void {
    for (const listener of this.#listeners) listener(change)
  }
}
