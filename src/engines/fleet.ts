// The engines that cwm works with, and which of them a piece of work goes to.

import type { Engine } from './engine.ts'

/** What an engine is needed for. Sessions and windows are such needs. */
export interface EngineNeed {
  /** The KV that is involved: work of one lineage goes to one engine, because its cache has that KV. Absent if there is none. */
  readonly lineage?: string
  /** Served name of the model. Absent for work that concerns no particular model. */
  readonly model?: string
}

/** The need of work that any engine can do. */
export const anyEngine: EngineNeed = {}

export interface EngineFleet {
  /** The same engine for the same lineage, as long as it is healthy. If none is, one whose own error says why. */
  pick(need: EngineNeed): Engine
}

/** Today's fleet: the engine of the setting `upstream`. */
export class FleetOfOne implements EngineFleet {
  readonly #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
  }

  pick(_: EngineNeed): Engine {
    return this.#engine
  }
}
