// A client receives an answer byte for byte as the upstream sent it, except for the usage event that only cwm requested.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { type RecordingHop, startRecordingHop } from '../support/recording-hop.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
let hop: RecordingHop

beforeAll(async () => {
  stack = await startStack({
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

const model = 'sim-model'
const messages = [
  {
    role: 'user',
    content: 'The ferry to Brekke leaves at nine. The ferry to Alden leaves at ten. When does the ferry leave?',
  },
]
const usage = { stream_options: { include_usage: true } }

const asked: readonly (readonly [string, string, object])[] = [
  ['chat with include_usage', '/v1/chat/completions', { model, messages, stream: true, ...usage }],
  ['chat with include_usage and n 2', '/v1/chat/completions', { model, messages, stream: true, n: 2, ...usage }],
  ['chat, not streamed', '/v1/chat/completions', { model, messages }],
  [
    'completions with include_usage',
    '/v1/completions',
    { model, prompt: 'Once', stream: true, max_tokens: 9, ...usage },
  ],
  ['completions, not streamed', '/v1/completions', { model, prompt: 'Once', max_tokens: 9 }],
  ['responses, streamed', '/v1/responses', { model, input: 'Where does it run?', stream: true }],
  ['responses, not streamed', '/v1/responses', { model, input: 'Where does it run?' }],
  ['messages, streamed', '/v1/messages', { model, max_tokens: 30, messages, stream: true }],
  ['messages, not streamed', '/v1/messages', { model, max_tokens: 30, messages }],
  ['an error of the upstream', '/v1/chat/completions', { model, messages, max_tokens: -1 }],
]

describe('an answer of the upstream reaches the client unchanged', () => {
  it.each(asked)('%s', async (_, path, body) => {
    hop.passed.length = 0

    const got = await ask(stack.url, path, { body })

    const sent = hop.passed.find((passed) => passed.target === path)
    expect(got.text).toBe(sent?.answer.toString('utf8'))
    expect(got.status).toBe(sent?.status)
    expect(got.body.length).toBeGreaterThan(20)
    expect(got.clean).toBe(true)
  })
})

/** Ids and the time of an answer vary. */
const comparable = (text: string): string =>
  text.replaceAll(/"(chatcmpl|cmpl)-[0-9a-f]+"/g, '"ID"').replaceAll(/"created":\d+/g, '"created":0')

describe('a stream with usage requested by cwm equals one without it', () => {
  it.each([
    ['stream true', '/v1/chat/completions', { model, messages, stream: true }],
    ['stream 1', '/v1/chat/completions', { model, messages, stream: 1 }],
    ['stream "true"', '/v1/chat/completions', { model, messages, stream: 'true' }],
    ['n 2', '/v1/chat/completions', { model, messages, stream: true, n: 2 }],
    ['n 3', '/v1/chat/completions', { model, messages, stream: true, n: 3, max_tokens: 4 }],
    ['cut by max_tokens', '/v1/chat/completions', { model, messages, stream: true, max_tokens: 2 }],
    [
      'include_usage false',
      '/v1/chat/completions',
      { model, messages, stream: true, stream_options: { include_usage: false } },
    ],
    ['stream_options null', '/v1/chat/completions', { model, messages, stream: true, stream_options: null }],
    [
      'continuous_usage_stats',
      '/v1/chat/completions',
      { model, messages, stream: true, stream_options: { continuous_usage_stats: true } },
    ],
    ['completions', '/v1/completions', { model, prompt: 'Once', stream: true, max_tokens: 9 }],
    ['completions with n 2', '/v1/completions', { model, prompt: 'Once', stream: true, max_tokens: 9, n: 2 }],
  ])('%s', async (_, path, body) => {
    const direct = await ask(stack.sim.engineUrl, path, { body })

    const got = await ask(stack.url, path, { body })

    expect(direct.text).toContain('data: [DONE]')
    expect(comparable(got.text)).toBe(comparable(direct.text))
  })

  it('a tool call', async () => {
    const reply = { toolCalls: [{ name: 'look_up', arguments: { q: 'ferry' } }] }
    const tools = [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }]
    const body = { model, messages, stream: true, tools }
    const ids = (text: string) => comparable(text).replaceAll(/"(chatcmpl-tool|call)[-_][0-9a-z]+"/gi, '"CALL"')
    stack.sim.script(reply)
    const direct = await ask(stack.sim.engineUrl, '/v1/chat/completions', { body })
    stack.sim.script(reply)

    const got = await ask(stack.url, '/v1/chat/completions', { body })

    expect(ids(got.text)).toBe(ids(direct.text))
  })
})
