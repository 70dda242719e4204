// Prompt sizes on the real engine: the bound is above its count, the estimate close to it, and without render endpoints (hidden by a hop)
// `/tokenize` returns the count that the engine reports.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../../src/base/json.ts'
import type { Prompt } from '../../src/base/records.ts'
import { TokenScales } from '../../src/engines/token-scale.ts'
import { Upstream } from '../../src/engines/upstream.ts'
import { VllmPrompts } from '../../src/engines/vllm/prompts.ts'
import { type TokenScale, typicalTokens } from '../../src/limits/typical.ts'
import { typicalTokensOfMessage, typicalTokensOfShaping } from '../../src/limits/typical-messages.ts'
import { PREAMBLE_TOKENS, upperTokens, upperTokensOfText } from '../../src/limits/upper-bound.ts'
import { SAMPLES } from '../support/languages.ts'
import { MODEL } from './support/conversations.ts'
import { ask, engineUrl } from './support/stack.ts'

const OPTIONS = { apiKey: undefined }
const upstreams: Upstream[] = []
let hop: Server
/** With the engine's own endpoints, and with `/tokenize` only. */
let engine: VllmPrompts
let plain: VllmPrompts
let scale: TokenScale

function connect(url: string): VllmPrompts {
  const patience = { connectTimeoutMs: 5_000, headersTimeoutMs: 60_000, bodyTimeoutMs: 60_000 }
  const upstream = new Upstream({ url, connections: 2, ...patience })
  upstreams.push(upstream)
  return new VllmPrompts(upstream)
}

beforeAll(async () => {
  hop = createServer(async (request, response) => {
    const body: Buffer[] = []
    for await (const chunk of request) body.push(chunk as Buffer)
    if (request.url?.endsWith('/render')) return response.writeHead(404).end('{"detail":"Not Found"}')
    const answer = await fetch(`${engineUrl}${request.url}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.concat(body).toString(),
    })
    return response.writeHead(answer.status).end(await answer.text())
  })
  await new Promise<void>((resolve) => hop.listen(0, '127.0.0.1', resolve))
  engine = connect(engineUrl)
  plain = connect(`http://127.0.0.1:${(hop.address() as AddressInfo).port}`)
  scale = await new TokenScales().of(engine, MODEL, undefined)
})

afterAll(async () => {
  for (const upstream of upstreams) await upstream.close()
  await new Promise((resolve) => hop.close(resolve))
})

const schema = (name: string, text: string) => ({
  name,
  description: text.slice(0, 200),
  parameters: {
    type: 'object',
    properties: {
      path: { type: 'string', description: text.slice(0, 60) },
      depth: { type: 'integer', enum: [1, 2, 3] },
    },
    required: ['path'],
  },
})
const args = (text: string) => ({ path: '/a/b', note: text, nested: { list: [1, 2.5, 1e15, null, true] } })

/** A prompt of each dialect with calls, results and tools around a text. */
const prompts: Readonly<
  Record<'chat' | 'messages' | 'responses', (text: string) => { messages: JsonValue[]; shaping: JsonObject }>
> = {
  chat: (text) => ({
    messages: [
      { role: 'system', content: text },
      { role: 'user', content: [{ type: 'text', text }] },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: JSON.stringify(args(text)) } }],
      },
      { role: 'tool', tool_call_id: 'c1', content: JSON.stringify({ found: text }) },
    ],
    shaping: { tools: [{ type: 'function', function: schema('look', text) }] },
  }),
  messages: (text) => {
    const { parameters, ...tool } = schema('look', text)
    return {
      messages: [
        { role: 'user', content: text },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'look', input: args(text) }] },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'c1', content: text },
            { type: 'text', text },
          ],
        },
      ],
      shaping: { system: [{ type: 'text', text }], tools: [{ ...tool, input_schema: parameters }] },
    }
  },
  responses: (text) => ({
    messages: [
      { role: 'user', content: text },
      reply(text),
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: JSON.stringify(args(text)) },
      { type: 'function_call_output', call_id: 'c1', output: text },
    ],
    shaping: { instructions: text, tools: [{ type: 'function', ...schema('look', text) }] },
  }),
}

function reply(...texts: string[]): JsonObject {
  const content = texts.map((text) => ({ type: 'output_text', text, annotations: [] }))
  return { type: 'message', id: 'msg_1', status: 'completed', role: 'assistant', content }
}

const spread = (ratios: readonly number[]) => `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`

describe('without a tokenizer', () => {
  it('a text is below its bound', async () => {
    const [ofUpper, ofTypical]: [number[], number[]] = [[], []]
    for (const text of Object.values(SAMPLES)) {
      const exact = (await engine.countText(MODEL, text, OPTIONS)) ?? Number.POSITIVE_INFINITY
      ofUpper.push(exact / upperTokensOfText(text))
      ofTypical.push(exact / typicalTokens(text, scale))
    }

    console.log(
      `texts, scale ${JSON.stringify(scale)}: exact/upper ${spread(ofUpper)}, exact/(typical x scale) ${spread(ofTypical)}`,
    )
    expect(Math.max(...ofUpper)).toBeLessThanOrEqual(1)
    // No assertion: where a text exceeds its estimate, the tokenizer decides.
    expect(Math.max(...ofTypical)).toBeLessThanOrEqual(1.2)
  })

  it.each(['chat', 'messages', 'responses'] as const)('a prompt of %s is below its bound', async (dialect) => {
    const [ofUpper, ofTypical]: [number[], number[]] = [[], []]
    for (const text of Object.values(SAMPLES)) {
      const asked = prompts[dialect](text.slice(0, 400))
      const exact = await engine.countTokens({ dialect, model: MODEL, ...asked }, OPTIONS)
      const upper = upperTokens(asked) + PREAMBLE_TOKENS
      const typical = asked.messages.reduce<number>(
        (sum, message) => sum + typicalTokensOfMessage(message, scale),
        typicalTokensOfShaping(asked.shaping, scale),
      )
      ofUpper.push((exact ?? Number.POSITIVE_INFINITY) / upper)
      ofTypical.push((exact ?? Number.POSITIVE_INFINITY) / typical)
    }

    console.log(`${dialect}: exact/upper ${spread(ofUpper)}, exact/(typical x scale) ${spread(ofTypical)}`)
    expect(Math.max(...ofUpper)).toBeLessThanOrEqual(1)
    expect(Math.max(...ofTypical)).toBeLessThanOrEqual(1.1)
  })
})

describe('without render endpoints', () => {
  const question = { role: 'user', content: 'How cold is it in Köln?' }
  const billed = async ({ messages, shaping }: Pick<Prompt, 'messages' | 'shaping'>): Promise<number> => {
    const body = { model: MODEL, input: messages, ...shaping, max_output_tokens: 1, store: false }
    const answer = (await ask('POST', `${engineUrl}/v1/responses`, body)) as { usage: { input_tokens: number } }
    return answer.usage.input_tokens
  }
  const tools = [{ type: 'function', ...schema('look', 'Looks at a thing.') }]
  const called = [
    { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"path": "/köln", "n": 1e15}' },
    { type: 'function_call_output', call_id: 'c1', output: '-4' },
  ]

  it.each<[string, JsonValue[], JsonObject]>([
    ['a question', [question], {}],
    ['instructions', [question], { instructions: 'Be brief.' }],
    ['tools', [question], { tools }],
    ['an echo of many turns', [question, reply('cold'), question, reply('colder', 'than'), question], {}],
    [
      'thoughts',
      [
        question,
        { type: 'reasoning', id: 'r', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
        reply('-4'),
      ],
      {},
    ],
    ['an effort', [question], { reasoning: { effort: 'low' } }],
  ])("/v1/responses with %s has the engine's ids and their count", async (_, messages, shaping) => {
    const asked = { dialect: 'responses', model: MODEL, messages, shaping } as const

    const ids = await plain.tokenIds(asked, OPTIONS)

    expect(ids?.length).toBe(await billed(asked))
    expect(ids).toEqual(await engine.tokenIds(asked, OPTIONS))
  })

  it('/v1/responses with calls is counted to within one token per call', async () => {
    for (const messages of [
      [question, ...called],
      [question, ...called, reply('-4'), question, ...called],
    ]) {
      const asked = { dialect: 'responses', model: MODEL, messages, shaping: { tools } } as const
      const calls = messages.filter((item) => 'type' in item && item.type === 'function_call').length

      const tokens = await plain.countTokens(asked, OPTIONS)

      expect(Math.abs((tokens ?? 0) - (await billed(asked)))).toBeLessThanOrEqual(calls)
    }
  })
})
