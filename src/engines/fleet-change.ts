// The states of a fleet's engines, their changes, and the listeners of changes.

/**
 * - `up`: receives work.
 * - `starting`: new, or back after it was down. Receives fewer new lineages for a while.
 * - `down`: does not answer. Receives work only if no other engine can do it.
 * - `draining`: healthy, but receives no new work while another engine can do it.
 */
export type MemberState = 'up' | 'starting' | 'down' | 'draining'

/** A change of the engines. `engine`, `from` and `to` are ids. */
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
  /** A request could not be written to one engine, and was sent to another. */
  | { readonly kind: 'failover'; readonly from: string; readonly to: string }
  /** An affinity key is placed on another engine from now on. */
  | { readonly kind: 'moved'; readonly from: string; readonly to: string }

type Listener = (change: FleetChange) => void

/** Bounded, because only `compose` adds listeners, at start. */
export class ChangeListeners {
  readonly #listeners = new Set<Listener>()

  /** Returns the function that removes it. */
  add(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  notify(change: FleetChange): void {
    for (const listener of this.#listeners) listener(change)
  }
}
