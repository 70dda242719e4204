// States of an engine: health checks, breaker, slow start.

import { expect, it } from 'vitest'
import { aFleetOfMany, specOf, urlOf } from '../../test/support/fleet-engines.ts'
import type { FleetChange } from './fleet-change.ts'
import { Member } from './member.ts'

function aMember({ isNew = false } = {}) {
  const setup = aFleetOfMany()
  const member = new Member(specOf('a', { weight: 2 }), setup.fake('a').engine, {
    now: () => setup.clock.now,
    slowStartMs: 30_000,
    isNew,
  })
  return { member, clock: setup.clock }
}

it('is down after two failures in a row', () => {
  const { member } = aMember()

  member.failed('status 503')
  expect(member.state).toBe('up')
  member.failed('status 503')

  expect(member.state).toBe('down')
})

it('is not down after two failures with a success between', () => {
  const { member } = aMember()

  member.failed('status 503')
  member.succeeded()
  member.failed('status 503')

  expect(member.state).toBe('up')
})

it('is back with one success, with a tenth of its weight at first', () => {
  const { member, clock } = aMember()
  member.failed('x')
  member.failed('x')

  member.succeeded()
  expect([member.state, member.currentWeight]).toEqual(['starting', 0.2])
  clock.now += 15_000
  expect(member.currentWeight).toBeCloseTo(1.1)
  clock.now += 15_000

  expect([member.state, member.currentWeight]).toEqual(['up', 2])
})

it('starts slowly when it is new in a running fleet', () => {
  expect(aMember({ isNew: true }).member.state).toBe('starting')
  expect(aMember().member.state).toBe('up')
})

it('is down while its breaker is not closed, and starts slowly after that', () => {
  const setup = aFleetOfMany()
  const changes: FleetChange[] = []
  setup.fleet.onChange((change) => changes.push(change))

  setup.setBreaker('a', 'open')
  setup.setBreaker('a', 'half_open')
  setup.setBreaker('a', 'closed')

  const state = { kind: 'state', engine: urlOf('a') }
  expect(changes).toEqual([
    { ...state, state: 'down', before: 'up' },
    { ...state, state: 'starting', before: 'down' },
  ])
})

it('is found down and back by health checks, with the reason', async () => {
  const setup = aFleetOfMany()
  const changes: FleetChange[] = []
  setup.fleet.onChange((change) => changes.push(change))

  setup.fake('b').behavior = 'refuses'
  await setup.fleet.checkHealth()
  await setup.fleet.checkHealth()
  setup.fake('b').behavior = 'answers'
  await setup.fleet.checkHealth()
  setup.clock.now += 30_000
  await setup.fleet.checkHealth()

  const state = { kind: 'state', engine: urlOf('b') }
  expect(changes).toEqual([
    { ...state, state: 'down', before: 'up', reason: 'upstream_refused' },
    { ...state, state: 'starting', before: 'down' },
    { ...state, state: 'up', before: 'starting' },
  ])
})

it('gets few new keys while it starts', async () => {
  const setup = aFleetOfMany({ specs: [specOf('a')] })
  setup.fleet.update([specOf('a'), specOf('b')])

  let started = 0
  for (let n = 0; n < 400; n++) {
    const { id } = await setup.fleet.pick({ tenant: 't', lineage: `key-${n}` })
    if (id === urlOf('b')) started++
  }

  // A weight of 0.1 beside 1: 1/11 of the keys, give or take three standard deviations.
  expect(started).toBeGreaterThan(400 / 11 - 18)
  expect(started).toBeLessThan(400 / 11 + 18)
})
