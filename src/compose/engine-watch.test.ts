import { describe, expect, it } from 'vitest'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import type { FleetMember } from '../engines/fleet.ts'
import { ChangeListeners } from '../engines/fleet-change.ts'
import { EngineWatch } from './engine-watch.ts'

/** A watch on an engine whose state the test sets. */
function aWatch() {
  const listeners = new ChangeListeners()
  const told: (readonly unknown[])[] = []
  const member = { id: 'http://a', state: 'draining' as FleetMember['state'], inFlight: 1 }
  const watch = new EngineWatch({
    fleet: { members: () => [member as FleetMember], onChange: (listener) => listeners.add(listener) },
    events: { emit: ({ tenant, kind, details }) => told.push([tenant, kind, details.engine, details.state]) },
    metrics: createMetrics(),
    log: silentLogger,
  })
  return { watch, listeners, told, member }
}

describe('the watch on engines', () => {
  it('reports an engine as drained once, when its last request has ended', () => {
    const { watch, told, member } = aWatch()
    watch.reportDrained()
    member.inFlight = 0
    watch.reportDrained()
    watch.reportDrained()

    expect(told).toEqual([['*', 'engine', 'http://a', 'drained']])
  })

  it('reports it again after it had work in between', () => {
    const { watch, told, member } = aWatch()
    member.inFlight = 0
    watch.reportDrained()
    member.state = 'up'
    watch.reportDrained()
    member.state = 'draining'
    watch.reportDrained()

    expect(told).toHaveLength(2)
  })

  it('reports each change of state to the operator alone, and counts failovers without an event', () => {
    const { listeners, told } = aWatch()
    listeners.notify({ kind: 'added', engine: 'http://b' })
    listeners.notify({ kind: 'state', engine: 'http://b', state: 'down', before: 'up', reason: 'upstream_refused' })
    listeners.notify({ kind: 'failover', from: 'http://b', to: 'http://a' })

    expect(told).toEqual([
      ['*', 'engine', 'http://b', 'added'],
      ['*', 'engine', 'http://b', 'down'],
    ])
  })
})
