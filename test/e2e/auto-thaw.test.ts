// A session that returns after its idle time has its window loaded into LMCache's memory before its turn reaches the engine.

import { afterEach, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { type ChatMessage, chat, prose, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'
import { settled } from '../support/windows.ts'

let stack: Stack
afterEach(() => stack.close())

const headers = { 'x-cwm-session': 'ann' }
const prefetches = () => stack.sim.requests.all('coordinator').filter(({ path }) => path.includes('prefetch'))

/** A session that was frozen with its first turn, and is then only in L2. */
async function comeBack(settings: object): Promise<number | undefined> {
  stack = await startStack({ sim: { prefetchMs: 150 }, settings: { freeze_at: 0.01, ...settings } })
  const history: ChatMessage[] = [user(`${prose(600)}. The buoy is called Lomvi.`)]
  const { reply } = await chat(stack.url, history, { headers: { ...headers, 'x-cwm-freeze': 'w' } })
  await settled(stack.url, 'w')
  await stack.sim.restartEngine()
  await stack.sim.restartLmcache()
  stack.sim.requests.clear()
  return (await chat(stack.url, [...history, reply, user('And now?')], { headers })).cachedTokens
}

it('prefetches the newest window, and the turn is warm', async () => {
  const cached = await comeBack({ thaw_after_ms: 1 })

  const order = stack.sim.requests.all().map(({ path }) => path)
  expect(prefetches().length).toBeGreaterThan(1)
  expect(order.findLastIndex((path) => path.includes('prefetch'))).toBeLessThan(order.indexOf('/v1/chat/completions'))
  expect(cached).toBeGreaterThan(512)
  expect((await ask(stack.url, '/cwm/metrics')).text).toContain('cwm_auto_thaws_total 1')
})

it('prefetches nothing by default: the engine loads what it needs', async () => {
  const cached = await comeBack({})

  expect(prefetches()).toEqual([])
  expect(cached).toBeGreaterThan(512)
})
