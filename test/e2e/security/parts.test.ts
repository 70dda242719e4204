// Message parts that would identify another tenant's image in the engine's caches, or bring in KV of unknown origin, wherever the engine
// accepts parts.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Ask, ask, errorOf } from '../../support/client.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const model = 'sim-model'
let stack: Stack
beforeAll(async () => {
  stack = await startStack({ sim: { images: true } })
})
afterAll(() => stack.close())

const parts: [what: string, part: object][] = [
  ['an image by its uuid alone', { type: 'image_url', image_url: null, uuid: 'invoice-1' }],
  ['an image with a uuid', { type: 'input_image', image_url: 'data:image/png;base64,AA==', uuid: 'invoice-1' }],
  ['embeddings', { type: 'prompt_embeds', data: 'AA==' }],
  ['embeddings in another part', { type: 'text', text: 'x', prompt_embeds: 'AA==' }],
]

const places: [where: string, request: (part: object) => readonly [path: string, options: Ask]][] = [
  ['a chat', (part) => ['/v1/chat/completions', { body: { model, messages: [{ role: 'user', content: [part] }] } }]],
  [
    "a tool's message",
    (part) => [
      '/v1/chat/completions',
      { body: { model, messages: [{ role: 'tool', tool_call_id: 'c', content: [part] }] } },
    ],
  ],
  ['a response', (part) => ['/v1/responses', { body: { model, input: [{ role: 'user', content: [part] }] } }]],
  ...['function_call_output', 'custom_tool_call_output'].map((type): (typeof places)[number] => [
    type,
    (part) => ['/v1/responses', { body: { model, input: [{ type, call_id: 'c', output: [part] }] } }],
  ]),
  [
    "a tool's result in an Anthropic message",
    (part) => {
      const content = [{ type: 'tool_result', tool_use_id: 'c', content: [part] }]
      return ['/v1/messages', { body: { model, max_tokens: 2, messages: [{ role: 'user', content }] } }]
    },
  ],
  [
    'a window',
    (part) => ['/cwm/v1/windows/w', { method: 'PUT', body: { model, messages: [{ role: 'user', content: [part] }] } }],
  ],
]

describe.each(places)('parts in %s', (where, request) => {
  it.each(parts)('are rejected: %s', async (_, part) => {
    const [path, options] = request(part)

    const got = await ask(stack.url, path, options)

    expect(got.status, where).toBe(400)
    if (path === '/v1/messages') expect(got.text).toContain('content part')
    else expect(errorOf(got)).toMatchObject({ code: 'forbidden_field', param: 'messages' })
    expect(stack.sim.requests.all('engine').filter(({ method }) => method === 'POST')).toEqual([])
  })
})

it("a field of that name in a tool's arguments is accepted", async () => {
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{"uuid":"1"}' } }
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'c', content: '{"uuid":"1"}' },
  ]

  expect((await ask(stack.url, '/v1/chat/completions', { body: { model, messages, max_tokens: 2 } })).status).toBe(200)
})
