// A fleet of one engine: what it reports of it.

import { expect, it } from 'vitest'
import { anEngine } from '../../test/support/engines.ts'
import { CwmError } from '../base/errors.ts'
import type { BreakerState, EngineHealth } from './engine.ts'
import { anyEngine, FleetOfOne } from './fleet.ts'
import type { FleetChange } from './fleet-change.ts'

const id = 'http://a:8000'

function aFleet(breaker: BreakerState = 'closed') {
  const ended: CwmError[] = []
  const health = { breaker, lastSeen: undefined, inFlight: 3 } as EngineHealth
  const end = (reason: CwmError) => ended.push(reason)
  const engine = anEngine({ id, health, kvServer: 'node-a', end })
  const fleet = new FleetOfOne(engine)
  const changes: FleetChange[] = []
  fleet.onChange((change) => changes.push(change))
  return { fleet, engine, changes, ended }
}

it('reports its engine', () => {
  const { fleet, engine } = aFleet()

  expect(fleet.members()).toEqual([{ id, url: id, weight: 1, state: 'up', inFlight: 3, engine, kvServer: 'node-a' }])
})

it('is down while the breaker is open', () => {
  expect(aFleet('open').fleet.members()[0]?.state).toBe('down')
})

it('still gives work to its engine while that is drained, because no other one could do it', () => {
  const { fleet, engine, changes } = aFleet()

  expect(fleet.drain(id)).toBe(true)

  expect(fleet.members()[0]?.state).toBe('draining')
  expect(fleet.pick(anyEngine)).toBe(engine)
  expect(changes).toEqual([{ kind: 'state', engine: id, state: 'draining', before: 'up' }])
})

it('gives up draining on resume', () => {
  const { fleet, changes } = aFleet()
  fleet.drain(id)

  expect(fleet.resume(id)).toBe(true)

  expect(fleet.members()[0]?.state).toBe('up')
  expect(changes.at(-1)).toEqual({ kind: 'state', engine: id, state: 'up', before: 'draining' })
})

it('drains no engine that it does not have', () => {
  const { fleet, changes } = aFleet()

  expect([fleet.drain('http://b:8000'), fleet.resume('http://b:8000')]).toEqual([false, false])
  expect(changes).toEqual([])
})

it('notifies no one who has left', () => {
  const { fleet } = aFleet()
  const late: FleetChange[] = []
  const leave = fleet.onChange((change) => late.push(change))

  leave()
  fleet.drain(id)

  expect(late).toEqual([])
})

it('ends its engine with the reason', () => {
  const { fleet, ended } = aFleet()
  const reason = new CwmError('SHUTTING_DOWN', 'stopping')

  expect(fleet.end(reason)).toBe(1)
  expect(ended).toEqual([reason])
})
