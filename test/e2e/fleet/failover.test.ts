// Several engines: where the turns of a session go, and what happens when an engine dies.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { SimEngine } from '../../../src/sim/index.ts'
import { askChat, prose, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { type ListStack, startList, UnnamedChat } from '../../support/engine-list.ts'

let stack: ListStack

beforeEach(async () => {
  stack = await startList()
})
afterEach(() => stack.close())

/** Chats of clients that name nothing, each with a first turn. */
async function startChats(count = 12): Promise<readonly UnnamedChat[]> {
  const chats = Array.from({ length: count }, (_, n) => new UnnamedChat(`${prose(60, `seed${n}`)} ${n}`))
  for (const one of chats) await one.turn(stack.url)
  return chats
}

/** The engine that has seen the most turns. */
function busiest(): SimEngine {
  const [first] = stack.sim.engines.toSorted((a, b) => stack.turnsAt(b).length - stack.turnsAt(a).length)
  if (first === undefined) throw new Error('no engine')
  return first
}

const othersThan = (engine: SimEngine) => stack.sim.engines.filter((one) => one !== engine)

describe('sessions of clients that name nothing', () => {
  it('spread over the engines, and no follow-up is cold', async () => {
    // So many that an engine without any is one run in a million: placement depends on the secret.
    const chats = await startChats(40)

    for (const one of chats) expect((await one.turn(stack.url)).cachedTokens).toBeGreaterThan(0)

    for (const engine of stack.sim.engines) expect(stack.turnsAt(engine).length).toBeGreaterThan(0)
  })

  it('stay on their engines after a restart of cwm', async () => {
    const chats = await startChats()
    await stack.restart()

    for (const one of chats) expect((await one.turn(stack.url)).cachedTokens).toBeGreaterThan(0)
  })
})

describe('when an engine is killed', () => {
  it('the next turns of its sessions go elsewhere without an error, and stay there when it is back', async () => {
    const chats = await startChats()
    const dead = busiest()
    await stack.sim.kill(dead.name)
    const before = stack.turnsAt(dead).length

    for (const one of chats) await one.turn(stack.url)
    await stack.sim.setOnline(dead.name, true)
    for (const one of chats) expect((await one.turn(stack.url)).cachedTokens).toBeGreaterThan(0)

    expect(stack.turnsAt(dead).length).toBe(before)
  })

  it('it gets new sessions once it is back', async () => {
    const dead = busiest()
    await stack.sim.kill(dead.name)
    await startChats()
    await stack.sim.setOnline(dead.name, true)

    await until('a new session goes to the engine that is back', async () => {
      await new UnnamedChat(`${prose(20)} ${Math.random()}`).turn(stack.url)
      return stack.turnsAt(dead).length > 0
    })
  })

  it('only a request in flight fails, and no other engine sees it', async () => {
    const chat = new UnnamedChat(prose(60))
    await chat.turn(stack.url)
    const [engine] = stack.sim.engines.filter((one) => stack.turnsAt(one).length > 0)
    if (engine === undefined) throw new Error('no engine has the session')
    stack.sim.fault({ server: engine.name, path: '/v1/chat/completions', action: { kind: 'stall' } })
    const inFlight = askChat(stack.url, chat.messages)
    await until('the engine has the request', () => stack.turnsAt(engine).length === 2)

    await stack.sim.kill(engine.name)

    expect((await inFlight).status).toBe(502)
    for (const other of othersThan(engine)) expect(stack.turnsAt(other)).toEqual([])
    expect((await chat.turn(stack.url)).got.status).toBe(200)
  })
})

it('if an engine dies after it got a request, that is not repeated at another one', async () => {
  for (const { name } of stack.sim.engines)
    stack.sim.fault({ server: name, path: '/v1/chat/completions', action: { kind: 'die-before-headers' } })

  const { status } = await askChat(stack.url, [user('hi')])

  expect(status).toBe(502)
  expect(stack.sim.engines.flatMap((engine) => stack.turnsAt(engine))).toHaveLength(1)
})

it('an answer of an engine is an answer, also 503: it goes to the client', async () => {
  for (const { name } of stack.sim.engines)
    stack.sim.fault({ server: name, path: '/v1/chat/completions', action: { kind: 'status', status: 503 } })

  const { status } = await askChat(stack.url, [user('hi')])

  expect(status).toBe(503)
  expect(stack.sim.engines.flatMap((engine) => stack.turnsAt(engine))).toHaveLength(1)
})

it('the client gets an error only if no engine can be reached', async () => {
  for (const { name } of stack.sim.engines) await stack.sim.kill(name)

  expect((await askChat(stack.url, [user('hi')])).status).toBe(502)
})
