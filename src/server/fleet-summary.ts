// The view of the engines that health and readiness use, and its summary.

import type { BreakerState, Engine } from '../engines/engine.ts'
import type { FleetMember } from '../engines/fleet.ts'

export interface WatchedEngine extends Omit<FleetMember, 'engine'> {
  readonly engine: Pick<Engine, 'health'>
}

/** The part of a fleet that is watched. */
export interface WatchedFleet {
  members(): readonly WatchedEngine[]
}

const best: readonly BreakerState[] = ['closed', 'half_open', 'open']

/** The breaker that lets most through. */
export function bestBreaker(members: readonly Pick<WatchedEngine, 'engine'>[]): BreakerState {
  return best.find((state) => members.some(({ engine }) => engine.health.breaker === state)) ?? 'closed'
}
