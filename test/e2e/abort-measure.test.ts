// A client that disconnects while its turn is counted: the count is canceled, and does not count as a tokenizer failure.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { type RecordingHop, startRecordingHop } from '../support/recording-hop.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let hop: RecordingHop

beforeAll(async () => {
  stack = await startStack({
    sim: { maxModelLen: 1024 },
    settings: { overflow: 'reject', freeze_at: 0 },
    upstream: async (sim) => {
      hop = await startRecordingHop(sim.engineUrl)
      return hop.url
    },
  })
})
afterAll(async () => {
  await stack.close()
  await hop.close()
})

it('a count is canceled when its client disconnects', async () => {
  stack.sim.fault({ path: '/tokenize', action: { kind: 'stall' } })
  const stop = new AbortController()
  const body = { model: 'sim-model', messages: [user(prose(400))] }
  const left = ask(stack.url, '/v1/chat/completions', { body, signal: stop.signal }).catch(() => 'left')
  await until('the count is asked for', () => stack.sim.requests.last('engine')?.path === '/tokenize')

  stop.abort()

  expect(await left).toBe('left')
  await until('the count is given up', () => hop.left.includes('/tokenize'))
  expect((await ask(stack.url, '/cwm/metrics')).text).not.toContain('cwm_size_checks_total{by="failed"}')
})
