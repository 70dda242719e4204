// The engines behind cwm, and which of them gets a piece of work.

import type { Engine } from './engine.ts'

/** The work that an engine is needed for. Sessions and windows can be passed as needs. */
export interface EngineNeed {
  /** The KV that is involved: work of one lineage goes to one engine, because its cache has that KV. Absent if there is none. */
  readonly lineage?: string
  /** The model's served name. Absent for work that concerns no particular model. */
  readonly model?: string
}

/** The need of work that any engine can do. */
export const anyEngine: EngineNeed = {}

export interface EngineFleet {
  /**
   * Returns the same engine for the same lineage while it is healthy. If no engine is healthy, returns one, so that its error gives the
   * reason.
   */
  pick(need: EngineNeed): Engine
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
