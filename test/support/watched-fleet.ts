// Engines as health and readiness see them.

import type { EngineHealth } from '../../src/engines/engine.ts'
import type { WatchedEngine, WatchedFleet } from '../../src/server/fleet-summary.ts'

/** An engine of a fleet that the test watches. */
export function memberOf(health: EngineHealth, change: Partial<Omit<WatchedEngine, 'engine'>> = {}): WatchedEngine {
  const fixed = { id: 'http://a', url: 'http://a', weight: 1, state: 'up', inFlight: 0, kvServer: undefined } as const
  return { ...fixed, ...change, engine: { health } }
}

/** A fleet of only this engine. */
export function fleetOf(health: EngineHealth): WatchedFleet {
  const member = memberOf(health)
  return { members: () => [member] }
}
