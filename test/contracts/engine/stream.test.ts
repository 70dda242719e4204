// Order and end of event streams: which events have the finish reasons, the usage and the fingerprint
// (docs/engine-behavior.md#stream-fingerprint).

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { field, list, newSalt, openTarget, payloads, type Target } from './target.ts'

let target: Target

beforeAll(async () => {
  target = await openTarget()
})

afterAll(() => target?.close())

async function events(path: string, body: object): Promise<unknown[]> {
  const request = { model: target.model, stream: true, temperature: 1, seed: 1, cache_salt: newSalt(), ...body }
  const { text, type } = await target.call('engine', 'POST', path, request)
  expect(type).toBe('text/event-stream; charset=utf-8')
  return payloads(text)
}

const chat = { messages: [{ role: 'user', content: 'hi' }], max_tokens: 3 }
const finishes = (event: unknown) => typeof field(event, 'choices.0.finish_reason') === 'string'
const hasFingerprint = (event: unknown) => field(event, 'system_fingerprint') !== undefined

describe.each([
  ['/v1/chat/completions', chat],
  ['/v1/completions', { prompt: 'hi', max_tokens: 3 }],
])('a stream of %s', (path, body) => {
  describe.each([1, 2])('with n=%i', (n) => {
    it('has its fingerprint on each finish event, without requested usage', async () => {
      const all = await events(path, { ...body, n })

      expect(all.at(-1)).toBe('[DONE]')
      expect(all.filter(finishes)).toHaveLength(n)
      expect(all.filter(hasFingerprint)).toEqual(all.filter(finishes))
      expect(all.some((event) => field(event, 'usage') !== undefined)).toBe(false)
    })

    it('has its fingerprint only on the usage event, with requested usage', async () => {
      const all = await events(path, { ...body, n, stream_options: { include_usage: true } })

      const usage = all.at(-2)
      expect(all.at(-1)).toBe('[DONE]')
      expect(all.filter(hasFingerprint)).toEqual([usage])
      expect(field(usage, 'choices')).toEqual([])
      expect(Object.keys(usage as object).at(-1)).toBe('system_fingerprint')
      expect(Number(field(usage, 'usage.completion_tokens'))).toBeGreaterThan(0)
      expect(field(usage, 'usage.prompt_tokens_details.cached_tokens')).toBe(0)
    })
  })

  it('has its fingerprint as the last key', async () => {
    const all = await events(path, body)

    expect(Object.keys(all.find(finishes) as object).at(-1)).toBe('system_fingerprint')
  })

  // docs/engine-behavior.md#stream-flag
  it.each([[1], ['true']])('is sent for "stream": %j too', async (stream) => {
    expect((await events(path, { ...body, stream })).at(-1)).toBe('[DONE]')
  })

  it('reports usage on every event on request', async () => {
    const all = await events(path, { ...body, stream_options: { include_usage: true, continuous_usage_stats: true } })

    const missing = all.slice(0, -1).filter((event) => field(event, 'usage') === undefined)
    expect(missing).toEqual([])
  })
})

describe('a chat stream', () => {
  it('starts with the role of each choice', async () => {
    const all = await events('/v1/chat/completions', { ...chat, n: 2 })

    const first = all.slice(0, 2).map((event) => [field(event, 'choices.0.index'), field(event, 'choices.0.delta')])
    const delta = { role: 'assistant', content: '' }
    expect(first).toEqual([
      [0, delta],
      [1, delta],
    ])
  })

  it('has the content of the whole answer', async () => {
    const body = { ...chat, max_tokens: 8, temperature: 0 }
    const { json } = await target.call('engine', 'POST', '/v1/chat/completions', { model: target.model, ...body })

    const all = await events('/v1/chat/completions', body)

    const said = all.map((event) => field(event, 'choices.0.delta.content') ?? '').join('')
    expect(said).toBe(field(json, 'choices.0.message.content'))
  })

  it('has the token ids of prompt and answer on request', async () => {
    const all = await events('/v1/chat/completions', { ...chat, return_token_ids: true })

    const prompt = await target.call('engine', 'POST', '/tokenize', { model: target.model, messages: chat.messages })
    expect(field(all[0], 'prompt_token_ids')).toEqual(field(prompt.json, 'tokens'))
    expect(all.flatMap((event) => list(field(event, 'choices.0.token_ids'))).length).toBeGreaterThan(0)
  })
})

describe("a stream of Anthropic's dialect", () => {
  it('goes from message_start through blocks to message_stop', async () => {
    const body = { messages: [{ role: 'user', content: 'hi' }], max_tokens: 3, temperature: 0 }

    const types = (await events('/v1/messages', body)).map((event) => field(event, 'type'))

    expect(types.filter((type) => type !== 'content_block_delta')).toEqual([
      'message_start',
      'content_block_start',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(types[2]).toBe('content_block_delta')
  })
})

describe('a stream of responses', () => {
  it('numbers its events and ends with the whole response', async () => {
    const all = await events('/v1/responses', { input: 'hi', max_output_tokens: 3, temperature: 0 })

    const types = all.map((event) => field(event, 'type'))
    expect(all.map((event) => field(event, 'sequence_number'))).toEqual(all.map((_, at) => at))
    expect(types.filter((type) => type !== 'response.output_text.delta')).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    const deltas = all.filter((event) => field(event, 'type') === 'response.output_text.delta')
    const text = deltas.map((event) => field(event, 'delta')).join('')
    expect(field(all.at(-1), 'response.output.0.content.0.text')).toBe(text)
  })
})
