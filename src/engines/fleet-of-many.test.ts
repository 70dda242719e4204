// Where several engines' work goes: by placement, by ranking, by load. Failover: placed-engine.test.ts.

import { describe, expect, it } from 'vitest'
import { aFleetOfMany, FakePlacements, specOf, urlOf } from '../../test/support/fleet-engines.ts'
import type { Sighting } from './engine.ts'
import type { FleetChange } from './fleet-change.ts'
import type { Member } from './member.ts'
import { ranked } from './rendezvous.ts'

const need = (lineage: string, model?: string) => ({ tenant: 't', lineage, ...(model === undefined ? {} : { model }) })
const KEYS = Array.from({ length: 60 }, (_, n) => `key-${n}`)
const bestOf = (key: string, names = ['a', 'b', 'c']) =>
  ranked(
    key,
    names.map((name) => ({ id: urlOf(name), weight: 1 })),
  ).map(({ id }) => id)

type Setup = ReturnType<typeof aFleetOfMany>

async function idOf({ fleet }: Setup, lineage: string, model?: string): Promise<string> {
  return (await fleet.pick(need(lineage, model))).id
}

function changesOf({ fleet }: Setup): FleetChange[] {
  const changes: FleetChange[] = []
  fleet.onChange((change) => changes.push(change))
  return changes
}

describe('a new key', () => {
  it('is placed on the engine that it ranks first, and the placement is stored', async () => {
    const setup = aFleetOfMany()

    for (const key of KEYS) expect(await idOf(setup, key)).toBe(bestOf(key)[0])

    expect([...setup.placements.placed]).toEqual(KEYS.map((key) => [key, bestOf(key)[0]]))
    expect(new Set(setup.placements.placed.values()).size).toBe(3)
  })

  it('goes to its second choice if the first is clearly busier, and stays there', async () => {
    const setup = aFleetOfMany()
    const [first = '', second = ''] = bestOf('k')
    setup.fake(first).inFlight = 5

    expect(await idOf(setup, 'k')).toBe(second)
    setup.fake(first).inFlight = 0
    setup.fake(second).inFlight = 100
    expect(await idOf(setup, 'k')).toBe(second)
  })

  it.each([3, 0])('stays with its first choice if that has only %d requests more', async (more) => {
    const setup = aFleetOfMany()
    const [first = '', second = ''] = bestOf('k')
    setup.fake(first).inFlight = 1 + more
    setup.fake(second).inFlight = 1

    expect(await idOf(setup, 'k')).toBe(first)
  })

  it('stays where another proxy has placed it at the same time', async () => {
    const placements = new FakePlacements()
    const [one, other] = [aFleetOfMany({ placements }), aFleetOfMany({ placements })]
    const [first = '', second = ''] = bestOf('k')
    one.fake(first).inFlight = 9

    const ids = await Promise.all([idOf(one, 'k'), idOf(other, 'k')])

    expect(new Set(ids).size).toBe(1)
    expect([first, second]).toContain(ids[0])
  })

  it('goes to no engine that does not serve its model', async () => {
    const setup = aFleetOfMany()
    setup.fake('a').models = { big: 100 }
    setup.fake('b').models = { small: 100 }
    setup.fake('c').models = { small: 100 }

    for (const key of KEYS) expect(await idOf(setup, key, 'big')).toBe(urlOf('a'))
  })

  it('may go to an engine whose models are not known yet, and to any engine if none lists the model', async () => {
    const setup = aFleetOfMany()
    setup.fake('a').models = { small: 100 }

    for (const key of KEYS) expect(await idOf(setup, key, 'big')).toBe(bestOf(key, ['b', 'c'])[0])

    setup.fake('b').models = { small: 100 }
    setup.fake('c').models = { small: 100 }
    expect(await idOf(setup, 'unknown model', 'big')).toBe(bestOf('unknown model')[0])
  })

  it('goes to no engine without weight while another one is healthy', async () => {
    const setup = aFleetOfMany({ specs: [specOf('a', { weight: 0 }), specOf('b')] })

    for (const key of KEYS) expect(await idOf(setup, key)).toBe(urlOf('b'))
    setup.setBreaker('b', 'open')

    expect(await idOf(setup, 'late')).toBe(urlOf('a'))
  })
})

describe('a placed key', () => {
  it('needs no look at the store for the time that a placement is trusted', async () => {
    const setup = aFleetOfMany()
    await setup.fleet.pick(need('k'))

    expect(setup.fleet.pick(need('k'))).not.toBeInstanceOf(Promise)
    setup.clock.now += 1_000
    expect(setup.fleet.pick(need('k'))).toBeInstanceOf(Promise)
  })

  it('follows what another proxy has stored', async () => {
    const setup = aFleetOfMany()
    const [first = '', second = ''] = bestOf('k')
    expect(await idOf(setup, 'k')).toBe(first)

    setup.placements.placed.set('k', second)
    setup.clock.now += 1_000

    expect(await idOf(setup, 'k')).toBe(second)
  })

  it('moves to the next of its ranking when its engine is down, and stays there when that is back', async () => {
    const setup = aFleetOfMany()
    const changes = changesOf(setup)
    const [first = '', second = ''] = bestOf('k')
    await idOf(setup, 'k')

    setup.setBreaker(first, 'open')
    expect(await idOf(setup, 'k')).toBe(second)
    setup.setBreaker(first, 'closed')
    setup.clock.now += 60_000

    expect(await idOf(setup, 'k')).toBe(second)
    expect(changes).toContainEqual({ kind: 'moved', from: first, to: second })
  })

  it('moves away from a draining engine, and only keys of that one move', async () => {
    const setup = aFleetOfMany()
    for (const key of KEYS) await idOf(setup, key)

    setup.fleet.drain(urlOf('a'))

    for (const key of KEYS) expect(await idOf(setup, key)).toBe(bestOf(key).find((id) => id !== urlOf('a')))
  })

  it('stays on a draining engine if all others are down or draining', async () => {
    const setup = aFleetOfMany()
    const [first = '', ...others] = bestOf('k')
    await idOf(setup, 'k')

    setup.fleet.drain(first)
    for (const id of others) setup.setBreaker(id, 'open')
    expect(await idOf(setup, 'k')).toBe(first)
    for (const id of others) setup.setBreaker(id, 'closed')
    for (const id of others) setup.fleet.drain(id)

    expect(await idOf(setup, 'k')).toBe(first)
    expect(setup.placements.placed.get('k')).toBe(first)
  })

  it('is not moved if no engine is healthy, so that its own engine gives the reason', async () => {
    const setup = aFleetOfMany()
    await idOf(setup, 'k')

    for (const name of ['a', 'b', 'c']) setup.setBreaker(name, 'open')

    expect(await idOf(setup, 'k')).toBe(bestOf('k')[0])
    expect(setup.placements.placed.get('k')).toBe(bestOf('k')[0])
  })

  it('keeps its engine for one model while another model of its session is elsewhere', async () => {
    const setup = aFleetOfMany({ specs: [specOf('a'), specOf('b')] })
    setup.fake('a').models = { big: 100 }
    setup.fake('b').models = { small: 100 }

    expect(await idOf(setup, 'k', 'big')).toBe(urlOf('a'))
    expect(await idOf(setup, 'k', 'small')).toBe(urlOf('b'))

    expect(await idOf(setup, 'k', 'big')).toBe(urlOf('a'))
    expect(setup.placements.placed.get('k')).toBe(urlOf('a'))
  })
})

describe('while the store is away', () => {
  it('new keys go by their ranking, and placed ones stay where they are known to be', async () => {
    const setup = aFleetOfMany()
    const [first = '', second = ''] = bestOf('k')
    setup.fake(first).inFlight = 9
    await idOf(setup, 'k')
    setup.fake(first).inFlight = 0

    setup.placements.isAway = true
    setup.clock.now += 60_000

    expect(await idOf(setup, 'k')).toBe(second)
    expect(await idOf(setup, 'new')).toBe(bestOf('new')[0])
  })

  it('a placement made meanwhile is stored once it is back', async () => {
    const setup = aFleetOfMany()
    setup.placements.isAway = true
    const id = await idOf(setup, 'k')

    setup.placements.isAway = false
    setup.clock.now += 1_000
    await idOf(setup, 'k')

    expect(setup.placements.placed.get('k')).toBe(id)
  })
})

it('renews the placement of a key in use once an hour', async () => {
  const setup = aFleetOfMany({ options: { maxStalenessMs: () => Number.POSITIVE_INFINITY } })
  await idOf(setup, 'k')
  await idOf(setup, 'k')
  expect(setup.placements.writes).toBe(1)

  setup.clock.now += 3_600_000
  await idOf(setup, 'k')

  expect(setup.placements.writes).toBe(2)
})

it('spreads work without a key over the engines, by load and in turn', async () => {
  const setup = aFleetOfMany()
  const ids = []
  for (let n = 0; n < 3; n++) ids.push((await setup.fleet.pick({})).id)
  expect(new Set(ids).size).toBe(3)

  setup.fake('a').inFlight = 2
  setup.fake('b').inFlight = 1

  for (let n = 0; n < 3; n++) expect((await setup.fleet.pick({})).id).toBe(urlOf('c'))
  expect(setup.placements.writes).toBe(0)
})

it('gives work of a stored response to its engine only, in whatever state', async () => {
  const setup = aFleetOfMany()
  setup.setBreaker('b', 'open')

  const engine = await setup.fleet.pick({ ...need('k'), engineId: urlOf('b') })

  expect(engine.id).toBe(urlOf('b'))
})

it('says that a stored response is lost if its engine has left', async () => {
  const { fleet } = aFleetOfMany()
  const codes: string[] = []

  const engine = await fleet.pick({ ...need('k'), engineId: urlOf('gone') })
  engine.send(
    { method: 'GET', path: '/v1/responses/r', headers: [], body: undefined },
    { onStart() {}, onHeaders() {}, onData() {}, onEnd() {}, onError: ({ code }) => codes.push(code) },
  )

  expect(codes).toEqual(['RESPONSE_NOT_FOUND'])
})

describe('an update', () => {
  it('keeps the engines whose URL stays, and closes one that left when its last request has ended', async () => {
    const setup = aFleetOfMany()
    const changes = changesOf(setup)
    const kept = setup.fake('a').engine
    setup.fake('b').inFlight = 1

    setup.fleet.update([specOf('a', { weight: 5 }), specOf('d')])

    expect(setup.fleet.members().map(({ id, weight, state }) => [id, weight, state])).toEqual([
      [urlOf('a'), 5, 'up'],
      [urlOf('d'), 1, 'starting'],
    ])
    expect(setup.fleet.members()[0]?.engine).toBe(kept)
    expect([setup.fake('b').isClosed, setup.fake('c').isClosed]).toEqual([false, true])
    expect(changes).toEqual([
      { kind: 'removed', engine: urlOf('b') },
      { kind: 'removed', engine: urlOf('c') },
      { kind: 'added', engine: urlOf('d') },
    ])
    await setup.fleet.close()
    expect(setup.fake('b').isClosed).toBe(true)
  })

  it('opens an engine anew if its key changes', async () => {
    const setup = aFleetOfMany()
    const before = setup.fake('a')

    setup.fleet.update(['a', 'b', 'c'].map((name) => specOf(name, { apiKey: 'k' })))

    expect(before.isClosed).toBe(true)
    expect(setup.fleet.members()[0]?.engine).toBe(setup.fake('a').engine)
    expect(setup.fleet.members()[0]?.state).toBe('up')
  })

  it('does not listen to the breaker of an engine that it has replaced', () => {
    const setup = aFleetOfMany()
    const changes = changesOf(setup)
    const before = setup.breakerOf('a')
    setup.fleet.update(['a', 'b', 'c'].map((name) => specOf(name, { apiKey: 'k' })))
    setup.fake('a').breaker = 'open'

    before('open')

    expect(changes).toEqual([])
  })

  it('takes no notice of checks of engines that it has replaced or that have left', async () => {
    const setup = aFleetOfMany()
    const fail: (() => void)[] = []
    for (const name of ['a', 'b']) {
      const check = () => new Promise<Sighting>((resolve) => fail.push(() => resolve({ ok: false, error: 'closed' })))
      Object.defineProperty(setup.fake(name).engine.health, 'check', { value: check })
    }
    const [replaced, left] = setup.fleet.members() as readonly Member[]
    // One more failure, and each is down.
    for (const member of [replaced, left]) member?.failed('upstream_refused')
    const checked = setup.fleet.checkHealth()
    setup.fleet.update(['a', 'c'].map((name) => specOf(name, { apiKey: 'k' })))
    const changes = changesOf(setup)

    for (const end of fail) end()
    await checked

    expect(replaced?.state).toBe('up')
    expect(changes).toEqual([])
  })

  it('drains an engine, whose keys move', async () => {
    const setup = aFleetOfMany()
    const [first = '', second = ''] = bestOf('k')
    await idOf(setup, 'k')

    setup.fleet.update(['a', 'b', 'c'].map((name) => specOf(name, { drain: urlOf(name) === first })))

    expect(await idOf(setup, 'k')).toBe(second)
  })

  it('with a wrong URL changes nothing', () => {
    const { fleet } = aFleetOfMany()
    const before = fleet.members()

    expect(() => fleet.update([specOf('a'), { url: 'ftp://b', weight: 1 }])).toThrow('http://')
    expect(() => fleet.update([])).toThrow('no engine')

    expect(fleet.members()).toBe(before)
  })
})

it('hands the end of all requests to every engine', () => {
  const setup = aFleetOfMany()
  setup.fake('a').inFlight = 2
  setup.fake('c').inFlight = 1

  expect(setup.fleet.end(Object.assign(new Error(), { code: 'x' }) as never)).toBe(3)
})
