// The engines behind cwm, and which of them gets a piece of work.

import type { CwmError } from '../base/errors.ts'
import type { SessionRecord } from '../base/records.ts'
import type { Engine } from './engine.ts'
import { ChangeListeners, type FleetChange, type MemberState } from './fleet-change.ts'

/** The work that an engine is needed for. Sessions and windows can be passed as needs. */
export interface EngineNeed {
  /** Whose work it is. Absent for work that concerns no tenant's KV. */
  readonly tenant?: string
  /** The KV that is involved: work of one lineage goes to one engine, because its cache has that KV. Absent if there is none. */
  readonly lineage?: string
  /** The session that the work is for, if there is one: the setting `affinity_key` may spread the sessions of one lineage. */
  readonly sessionId?: string
  /** The model's served name. Absent for work that concerns no particular model. */
  readonly model?: string
  /** The only engine that can do it, because it alone has what the work refers to (a stored response). */
  readonly engineId?: string
}

/** The need of work for a session. */
export function sessionNeed({ tenant, id, lineage }: Pick<SessionRecord, 'tenant' | 'id' | 'lineage'>): EngineNeed {
  return { tenant, lineage, sessionId: id }
}

/** The need of work that any engine can do. */
export const anyEngine: EngineNeed = {}

/**
 * The affinity key of work: equal for work that should reach the same engine's cache, opaque, and the same at every proxy and after a
 * restart. Undefined for work that concerns no KV of a tenant.
 */
export type KeyOf = (need: EngineNeed) => string | undefined

/** The port to where placements are kept: which engine has the KV behind an affinity key. All proxies on one store share them. */
export interface Placements {
  /** The id of the engine that the key is placed on; undefined if it is not placed. Rejects if the store is unavailable. */
  find(key: string): Promise<string | undefined>
  /**
   * Places the key on an engine and renews its expiry. A key that is placed on another engine stays there, unless that one is `instead`.
   * Returns the id of the engine that the key is on now. Rejects if the store is unavailable.
   */
  place(key: string, engine: string, instead: string | undefined): Promise<string>
}

/** One engine of a fleet. Its fields are live: they change. */
export interface FleetMember {
  /** The engine's id. */
  readonly id: string
  /** As the settings write it. */
  readonly url: string
  readonly weight: number
  readonly state: MemberState
  /** Requests of this process that are in flight, cwm's own calls included. */
  readonly inFlight: number
  readonly engine: Engine
  /** The LMCache server that it is attached to, by instance id; undefined if unknown. */
  readonly kvServer: string | undefined
}

export interface EngineFleet {
  /**
   * Returns the same engine for the same lineage while it is healthy. If no engine is healthy, returns one, so that its error gives the
   * reason. A promise only if a placement must be read first: await it only then, because nothing may run between a turn's last check and
   * its dispatch. Never throws.
   */
  pick(need: EngineNeed): Engine | Promise<Engine>
  /** All engines, in the order of the settings. */
  members(): readonly FleetMember[]
  /** Gives an engine no new work until `resume`. Its requests in flight finish. False if there is no engine with that id. */
  drain(id: string): boolean
  /** Gives a drained engine work again. False if there is no engine with that id. */
  resume(id: string): boolean
  /** Calls the listener for each change, until the returned function is called. The listener must not throw. */
  onChange(listener: (change: FleetChange) => void): () => void
  /** Fails all requests in flight, and all later ones, with this error. Returns the number of requests that were in flight. */
  end(reason: CwmError): number
  /** Closes all connections. */
  close(): Promise<void>
}

/** A fleet with only the engine from the setting `upstream`. */
export class FleetOfOne implements EngineFleet {
  readonly #engine: Engine
  readonly #listeners = new ChangeListeners()
  #draining = false

  constructor(engine: Engine) {
    this.#engine = engine
  }

  pick(_: EngineNeed): Engine {
    return this.#engine
  }

  members(): readonly FleetMember[] {
    const engine = this.#engine
    const { id, kvServer, health } = engine
    return [{ id, url: id, weight: 1, state: this.#state(), inFlight: health.inFlight, engine, kvServer }]
  }

  /** Changes only the reported state: there is no other engine that could do the work. */
  drain(id: string): boolean {
    return this.#setDraining(id, true)
  }

  resume(id: string): boolean {
    return this.#setDraining(id, false)
  }

  /** Reports drain and resume only. The breaker has its own listener. */
  onChange(listener: (change: FleetChange) => void): () => void {
    return this.#listeners.add(listener)
  }

  end(reason: CwmError): number {
    return this.#engine.end(reason)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }

  #state(): MemberState {
    if (this.#engine.health.breaker === 'open') return 'down'
    return this.#draining ? 'draining' : 'up'
  }

  #setDraining(id: string, draining: boolean): boolean {
    if (id !== this.#engine.id) return false
    const before = this.#state()
    this.#draining = draining
    const state = this.#state()
    if (state !== before) this.#listeners.notify({ kind: 'state', engine: id, state, before })
    return true
  }
}
