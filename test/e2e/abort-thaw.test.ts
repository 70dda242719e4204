// A client that disconnects during a thaw: the warm call, which may prefill a whole window, is canceled.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, jsonOf } from '../support/client.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type RecordingHop, startRecordingHop } from '../support/recording-hop.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let hop: RecordingHop
const WARM = '/v1/completions'

beforeAll(async () => {
  stack = await startStack({
    settings: { drain_ms: 200 },
    upstream: async (sim) => {
      hop = await startRecordingHop(sim.engineUrl)
      return hop.url
    },
  })
  await chat(stack.url, [user('The pier is long.')], { headers: { 'x-cwm-freeze': 'w' } })
  await ask(stack.url, '/cwm/v1/windows/w?wait_ms=5000')
})

afterAll(async () => {
  await stack.close()
  await hop.close()
})

describe('a client that disconnects during a thaw', () => {
  it.each([
    [
      'by header',
      '/v1/chat/completions',
      { model: 'sim-model', messages: [user('How long?')] },
      { 'x-cwm-window': 'w', 'x-cwm-session': 'one' },
    ],
    ['by REST', '/cwm/v1/windows/w/thaw', { session_id: 'one' }, {}],
  ])('%s cancels the warm call, and its session is not bound', async (_, path, body, headers) => {
    hop.left.length = 0
    stack.sim.requests.clear()
    stack.sim.fault({ path: WARM, action: { kind: 'stall' } })
    const stop = new AbortController()
    const left = ask(stack.url, path, { body, headers, signal: stop.signal }).catch(() => 'left')
    await until('the warm call is out', () => stack.sim.requests.all('engine').some((entry) => entry.path === WARM))

    stop.abort()

    expect(await left).toBe('left')
    await until('the warm call is given up', () => hop.left.includes(WARM))
    const session = await ask(stack.url, '/cwm/v1/sessions/one')
    expect(jsonOf(session).base_window).toBeUndefined()
  })
})

describe('stopping cwm', () => {
  it('does not wait for a freeze whose engine hangs; the next start completes or fails it', async () => {
    const started = Date.now()
    stack.sim.fault({ path: WARM, action: { kind: 'stall' } })
    stack.sim.requests.clear()
    await chat(stack.url, [user('The quay is short.')], { headers: { 'x-cwm-freeze': 'cut-off' } })
    await until('the warm call is out', () => stack.sim.requests.all('engine').some((entry) => entry.path === WARM))

    await stack.restart()

    expect(Date.now() - started).toBeLessThan(4_000)
    const settled = await until('the window is settled', async () => {
      const { state } = jsonOf<{ state: string }>(await ask(stack.url, '/cwm/v1/windows/cut-off'))
      return state === 'freezing' ? undefined : state
    })
    expect(['frozen', 'failed']).toContain(settled)
  })
})
