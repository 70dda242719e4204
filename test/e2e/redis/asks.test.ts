// Questions at several proxies on one Redis: a window that one proxy asks keeps its pin, whatever another one needs.

import { afterEach, expect, it } from 'vitest'
import type { WindowJson } from '../../../src/wire/windows.ts'
import { documentWindow, questionsAt, streamedMany } from '../../support/asks.ts'
import { until } from '../../support/deadline.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { rest } from '../../support/rest.ts'

let fleet: Fleet
afterEach(() => fleet?.close())

const pinOf = async (name: string) =>
  (await rest<WindowJson & { pin: string }>(fleet.b.url, 'GET', `/windows/${name}`)).pin

it.skipIf(skipsRedis)('a window that is asked keeps its pin, though another proxy needs room for one', async () => {
  // Two windows of 856 tokens fit, three do not.
  fleet = await startFleet({ settings: { max_pinned_tokens: 2_000, when_pins_full: 'release' } })
  await documentWindow(fleet.a.url, 'ada')
  await documentWindow(fleet.a.url, 'bo')
  const resume = fleet.sim.fault({ path: '/v1/chat/completions', action: { kind: 'stall', events: 1 } })
  const leave = new AbortController()
  const body = { question: 'What is the harbor called?', windows: { names: ['ada'] } }
  const asked = streamedMany(fleet.a.url, body, { signal: leave.signal }).catch(() => {})
  await until('ada is asked', () => questionsAt(fleet.sim).length === 1)

  await documentWindow(fleet.b.url, 'cy')
  const during = [await pinOf('ada'), await pinOf('bo'), await pinOf('cy')]
  leave.abort()
  await asked
  resume()
  await until('nobody asks ada any longer', async () => {
    const keys = await fleet.redis.send('KEYS', '*{use:*')
    return String(keys) === ''
  })
  await documentWindow(fleet.b.url, 'di')

  expect(during).toEqual(['pinned', 'released', 'pinned'])
  expect([await pinOf('ada'), await pinOf('cy'), await pinOf('di')]).toEqual(['released', 'pinned', 'pinned'])
})
