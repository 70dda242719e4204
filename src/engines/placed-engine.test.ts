// Failover: what goes to another engine, what must not, and what is reported of it.

import { describe, expect, it } from 'vitest'
import { aFleetOfMany, specOf, urlOf } from '../../test/support/fleet-engines.ts'
import type { CwmError } from '../base/errors.ts'
import type { AnswerSink, Engine, OutgoingRequest } from './engine.ts'
import type { FleetChange } from './fleet-change.ts'
import { ranked } from './rendezvous.ts'

const request: OutgoingRequest = {
  method: 'POST',
  path: '/v1/chat/completions',
  headers: ['x-a', '1'],
  body: Buffer.from('{"cache_salt":"s"}'),
}
const need = { tenant: 't', lineage: 'k' }
const [first = '', second = '', third = ''] = ranked(
  'k',
  ['a', 'b', 'c'].map((name) => ({ id: urlOf(name), weight: 1 })),
).map(({ id }) => id)

async function aPlacedTurn() {
  const setup = aFleetOfMany()
  const changes: FleetChange[] = []
  setup.fleet.onChange((change) => changes.push(change))
  const engine = await setup.fleet.pick(need)
  const heard: string[] = []
  const sink: AnswerSink = {
    onStart: () => heard.push('start'),
    onHeaders: (status) => heard.push(String(status)),
    onData: () => {},
    onEnd: () => heard.push('end'),
    onError: ({ code }: CwmError) => heard.push(code),
  }
  return { ...setup, changes, engine, heard, send: () => engine.send(request, sink) }
}

describe('a request', () => {
  it.each(['refuses', 'is guarded'] as const)('goes to the next engine if the first %s', async (behavior) => {
    const { fake, send, heard, engine, changes, placements } = await aPlacedTurn()
    fake(first).behavior = behavior

    send()
    await Promise.resolve()

    expect(heard).toEqual(['start', '200', 'end'])
    expect(fake(second).sent).toEqual([request])
    expect([engine.id, engine.origin]).toEqual([second, second])
    expect(changes).toContainEqual({ kind: 'failover', from: first, to: second })
    expect(placements.placed.get('k')).toBe(second)
  })

  it('goes to each engine once, and the error is that of the first one', async () => {
    const { fake, send, heard, engine } = await aPlacedTurn()
    fake(first).behavior = 'is guarded'
    fake(second).behavior = 'refuses'
    fake(third).behavior = 'refuses'

    send()

    expect(heard).toEqual(['UPSTREAM_OPEN'])
    expect([first, second, third].map((id) => fake(id).sent.length)).toEqual([1, 1, 1])
    expect(engine.id).toBe(first)
  })

  it('is never sent again once a byte of it may have been written', async () => {
    const { fake, send, heard, placements } = await aPlacedTurn()
    fake(first).behavior = 'breaks'

    send()

    expect(heard).toEqual(['start', 'UPSTREAM_BROKEN'])
    expect([fake(second).sent, fake(third).sent]).toEqual([[], []])
    expect(placements.placed.get('k')).toBe(first)
  })

  it('that its client gave up is not sent to another engine', async () => {
    const { fake, send, heard } = await aPlacedTurn()
    fake(first).behavior = 'hangs'

    send()()

    expect(heard).toEqual(['start', 'CLIENT_GONE'])
    expect(fake(second).sent).toEqual([])
  })

  it('can be aborted at the engine that it went to', async () => {
    const { fake, send, heard } = await aPlacedTurn()
    fake(first).behavior = 'is guarded'
    fake(second).behavior = 'hangs'

    send()()

    expect(heard).toEqual(['start', 'CLIENT_GONE'])
  })

  it('goes to another engine at once if its own one went down or left since it was placed', async () => {
    const down = await aPlacedTurn()
    down.setBreaker(first, 'open')
    down.send()

    const gone = await aPlacedTurn()
    gone.fleet.update(['a', 'b', 'c'].map((name) => specOf(name)).filter(({ url }) => url !== first))
    gone.send()

    for (const { fake, heard } of [down, gone]) {
      expect(heard).toEqual(['start', '200', 'end'])
      expect(fake(first).sent).toEqual([])
      expect(fake(second).sent).toHaveLength(1)
    }
  })

  it('stays with an engine that is drained after it was placed', async () => {
    const { fleet, fake, send } = await aPlacedTurn()
    fleet.drain(first)

    send()

    expect(fake(first).sent).toHaveLength(1)
  })

  it('for a stored response fails over to no other engine', async () => {
    const { fleet, fake } = await aPlacedTurn()
    fake(first).behavior = 'refuses'
    const engine = await fleet.pick({ ...need, engineId: first })
    const codes: string[] = []

    engine.send(request, {
      onStart() {},
      onHeaders() {},
      onData() {},
      onEnd() {},
      onError: ({ code }) => codes.push(code),
    })

    expect(codes).toEqual(['UPSTREAM_REFUSED'])
    expect(fake(second).sent).toEqual([])
  })
})

it('an engine that refuses is checked at once, so that it is down before the next new key', async () => {
  const { fake, send, changes } = await aPlacedTurn()
  fake(first).behavior = 'refuses'

  send()

  await expect
    .poll(() => changes)
    .toContainEqual({ kind: 'state', engine: first, state: 'down', before: 'up', reason: 'upstream_refused' })
})

const prompt = { dialect: 'chat', model: 'm', messages: [], shaping: {} } as unknown as Parameters<
  Engine['tokenIds']
>[0]
const calls: readonly (readonly [string, (engine: Engine) => Promise<unknown>])[] = [
  ['tokenIds', (engine) => engine.tokenIds(prompt, { apiKey: undefined })],
  ['countTokens', (engine) => engine.countTokens(prompt, { apiKey: undefined })],
  ['countText', (engine) => engine.countText('m', 'x', { apiKey: undefined })],
  ['warm', (engine) => engine.warm({ model: 'm', tokenIds: Uint32Array.of(1), salt: 's' }, { apiKey: undefined })],
]

describe.each(calls)("cwm's own call %s", (name, call) => {
  it('goes to the next engine if the first refuses, and the work is there from then on', async () => {
    const { fake, engine, placements } = await aPlacedTurn()
    fake(first).behavior = 'refuses'

    await call(engine)

    expect([fake(first).calls, fake(second).calls]).toEqual([[name], [name]])
    expect([engine.id, placements.placed.get('k')]).toEqual([second, second])
  })

  it('fails with the error of the first engine if none can be reached', async () => {
    const { fake, engine } = await aPlacedTurn()
    fake(first).behavior = 'is guarded'
    fake(second).behavior = 'refuses'
    fake(third).behavior = 'refuses'

    await expect(call(engine)).rejects.toMatchObject({ code: 'UPSTREAM_OPEN' })
  })

  it('is not repeated if its connection breaks', async () => {
    const { fake, engine } = await aPlacedTurn()
    fake(first).behavior = 'breaks'

    await expect(call(engine)).rejects.toMatchObject({ code: 'UPSTREAM_BROKEN' })
    expect(fake(second).calls).toEqual([])
  })
})
