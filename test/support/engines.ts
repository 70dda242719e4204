// Minimal engines for tests of rooms above them.

import type { Engine, EngineModels } from '../../src/engines/engine.ts'
import { type EngineFleet, FleetOfOne } from '../../src/engines/fleet.ts'

export interface PartialEngine extends Partial<Omit<Engine, 'models'>> {
  readonly models?: Partial<EngineModels>
}

/** An engine that has only what the test needs. */
export const anEngine = (parts: PartialEngine): Engine => parts as Engine

/** A fleet of one such engine. */
export const aFleet = (parts: PartialEngine): EngineFleet => new FleetOfOne(anEngine(parts))
