// Reports changes of the fleet's engines as log lines, as events for the operator, and in the metrics.

import type { EventSink } from '../base/events.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import type { FleetChange } from '../engines/fleet-change.ts'

export interface EngineWatchParts {
  readonly fleet: Pick<EngineFleet, 'members' | 'onChange'>
  readonly events: EventSink
  readonly metrics: Pick<Metrics, 'engines'>
  readonly log: Logger
}

/** Concerns all tenants. No tenant can have this id, so only the operator sees these events. */
const EVENT_TENANT = '*'

export class EngineWatch {
  readonly #parts: EngineWatchParts
  /** Draining engines that were already reported as drained. */
  readonly #drained = new Set<string>()

  constructor(parts: EngineWatchParts) {
    this.#parts = parts
    parts.fleet.onChange((change) => this.#report(change))
  }

  /** Reports each draining engine once, when this proxy has no request in flight there. */
  reportDrained(): void {
    const members = this.#parts.fleet.members()
    const done = members.filter(({ state, inFlight }) => state === 'draining' && inFlight === 0).map(({ id }) => id)
    const draining = new Set(members.filter(({ state }) => state === 'draining').map(({ id }) => id))
    for (const id of this.#drained) if (!draining.has(id)) this.#drained.delete(id)
    for (const id of done) {
      if (this.#drained.has(id)) continue
      this.#drained.add(id)
      this.#emit(id, 'drained')
      this.#parts.log.info({ engine: id }, 'the engine is drained: this proxy has no request in flight there')
    }
  }

  #report(change: FleetChange): void {
    const { engines } = this.#parts.metrics
    if (change.kind === 'failover') engines.failovers.of(change.from).inc()
    else if (change.kind === 'moved') engines.placementsMoved.of(change.from).inc()
    else if (change.kind === 'state') this.#reportState(change)
    else {
      this.#emit(change.engine, change.kind)
      this.#parts.log.info({ engine: change.engine }, `an engine was ${change.kind}`)
    }
  }

  #reportState({ engine, state, before, reason }: Extract<FleetChange, { kind: 'state' }>): void {
    const { log } = this.#parts
    this.#emit(engine, state, reason)
    if (state === 'down') log.warn({ engine, before, reason }, 'the engine is down')
    else log.info({ engine, before }, `the engine is ${state}`)
  }

  #emit(engine: string, state: string, reason?: string): void {
    const details = { engine, state, ...(reason === undefined ? {} : { reason }) }
    this.#parts.events.emit({ tenant: EVENT_TENANT, kind: 'engine', details })
  }
}
