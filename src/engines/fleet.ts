// The engines behind cwm, and which of them gets a piece of work.

import type { SessionRecord } from '../base/records.ts'
import type { Engine } from './engine.ts'

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
 * The affinity key of work: equal for work that should meet the same engine's cache, opaque, and the same at every proxy and after a
 * restart. Undefined for work that concerns no KV of a tenant.
 */
export type KeyOf = (need: EngineNeed) => string | undefined

export interface EngineFleet {
  /**
   * Returns the same engine for the same lineage while it is healthy. If no engine is healthy, returns one, so that its error gives the
   * reason. A promise only if a placement must be read first: await it only then, because nothing may run between a turn's last check and
   * its dispatch. Never throws.
   */
  pick(need: EngineNeed): Engine | Promise<Engine>
}

/** A fleet with only the engine from the setting `upstream`. */
export class FleetOfOne implements EngineFleet {
  readonly #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
  }

  pick(_: EngineNeed): Engine {
    return this.#engine
  }
}
