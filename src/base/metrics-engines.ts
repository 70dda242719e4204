// Metrics of each engine, by the label `engine`. Series of removed engines are dropped.

import { Counter, Gauge, type Registry } from 'prom-client'
import { PlainCounter } from './metrics-plain.ts'

/** One engine, as a scrape reads it. */
export interface EngineSample {
  /** The engine's id, an http(s) URL. */
  readonly id: string
  readonly isUp: boolean
  readonly isDraining: boolean
  readonly breaker: 'closed' | 'half_open' | 'open'
  readonly inFlight: number
}

const breakerStates: Readonly<Record<EngineSample['breaker'], number>> = { closed: 0, half_open: 1, open: 2 }

/** Host and port, and the path if there is one. */
function labelOf(id: string): string {
  return id.replace(/^https?:\/\//, '')
}

/** Counts by engine id. */
class EngineCounters {
  readonly #all = new Map<string, PlainCounter>()

  of(id: string): PlainCounter {
    let counter = this.#all.get(id)
    if (counter === undefined) {
      counter = new PlainCounter()
      this.#all.set(id, counter)
    }
    return counter
  }

  /** Forgets all other engines. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#all.keys()) if (!ids.has(id)) this.#all.delete(id)
  }
}

/** Creates the metrics in a registry. They have no series until `watch` is called. */
export function engineMetrics(registry: Registry) {
  const registers = [registry]
  const labelNames = ['engine'] as const
  let read = (): readonly EngineSample[] => []
  const gauge = (name: string, help: string, measure: (sample: EngineSample) => number): void => {
    new Gauge({
      ...{ name, help, registers, labelNames },
      collect() {
        this.reset()
        for (const sample of read()) this.set({ engine: labelOf(sample.id) }, measure(sample))
      },
    })
  }
  const counters = (name: string, help: string): EngineCounters => {
    const counts = new EngineCounters()
    new Counter({
      ...{ name, help, registers, labelNames },
      collect() {
        this.reset()
        const ids = read().map(({ id }) => id)
        counts.keep(new Set(ids))
        for (const id of ids) this.inc({ engine: labelOf(id) }, counts.of(id).value)
      },
    })
    return counts
  }
  new Gauge({
    name: 'cwm_upstream_breaker_state',
    help: 'State of the circuit breaker: 0 closed, 1 half-open (one request tests the upstream), 2 open. With several engines, the lowest value',
    registers,
    collect() {
      const all = read().map(({ breaker }) => breakerStates[breaker])
      this.set(all.length === 0 ? 0 : Math.min(...all))
    },
  })
  gauge('cwm_engine_up', '1 if the engine is not down, 0 if it is down', ({ isUp }) => Number(isUp))
  gauge('cwm_engine_draining', '1 if the engine is draining: it receives no new work', ({ isDraining }) =>
    Number(isDraining),
  )
  gauge(
    'cwm_engine_breaker_state',
    "State of the engine's circuit breaker: 0 closed, 1 half-open, 2 open",
    ({ breaker }) => breakerStates[breaker],
  )
  gauge('cwm_engine_requests_in_flight', 'Requests in flight at the engine', ({ inFlight }) => inFlight)
  return {
    watch(samples: () => readonly EngineSample[]): void {
      read = samples
    },
    requests: counters(
      'cwm_engine_requests_total',
      "Requests sent to the engine, including cwm's own calls, without health checks",
    ),
    failovers: counters(
      'cwm_engine_failovers_total',
      'Requests that went to another engine, because no byte of them could be sent to this one',
    ),
    placementsMoved: counters(
      'cwm_engine_placements_moved_total',
      'Affinity keys that moved from this engine to another one',
    ),
  }
}
