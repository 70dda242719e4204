// Two cwm on one Redis before the same engines: they agree where each session is.

import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Sim, startSim } from '../../../src/sim/index.ts'
import { prose } from '../../support/conversation.ts'
import { listSettings, turnsAt, UnnamedChat } from '../../support/engine-list.ts'
import { RedisServer } from '../../support/redis-server.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'

let sim: Sim
let redis: RedisServer
let proxies: readonly [Cwm, Cwm]

beforeEach(async () => {
  redis = await RedisServer.start()
  sim = await startSim({ eventFlushMs: 0, engines: 3 })
  const secret = 'a secret that all proxies on one store share, of some length'
  const settings = { ...listSettings(sim), secret, store: `redis://127.0.0.1:${redis.port}` }
  proxies = [await startCwm(sim.engineUrl, settings), await startCwm(sim.engineUrl, settings)]
})
afterEach(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()))
  await sim.close()
  await redis.dispose()
})

/** Chats whose first turn went to the proxy that `first` says. */
const startChats = async (first: (n: number) => 0 | 1) => {
  const chats = Array.from({ length: 10 }, (_, n) => new UnnamedChat(`${prose(60, `seed${n}`)} ${n}`))
  for (const [n, chat] of chats.entries()) await chat.turn(proxies[first(n)].url)
  return chats
}

it('a session whose turns alternate between the proxies is never cold', async () => {
  const chats = await startChats((n) => (n % 2 === 0 ? 0 : 1))

  for (const [n, chat] of chats.entries()) {
    const { cachedTokens } = await chat.turn(proxies[n % 2 === 0 ? 1 : 0].url)
    expect(cachedTokens).toBeGreaterThan(0)
  }
})

it('a session that one proxy moves is found by the other one', async () => {
  // The other one has not read any placement yet, so it need not wait until it doubts one.
  const chats = await startChats(() => 0)
  const [dead] = sim.engines.toSorted((a, b) => turnsAt(sim, b).length - turnsAt(sim, a).length)
  if (dead === undefined) throw new Error('no engine')
  await sim.kill(dead.name)
  const before = turnsAt(sim, dead).length

  for (const chat of chats) await chat.turn(proxies[0].url)
  await sim.setOnline(dead.name, true)
  for (const chat of chats) expect((await chat.turn(proxies[1].url)).cachedTokens).toBeGreaterThan(0)

  expect(turnsAt(sim, dead).length).toBe(before)
})
