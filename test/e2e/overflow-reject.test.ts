// With the policy `reject`, a turn that does not fit is rejected before any compute, with the message and code that SDKs and agents
// recognize.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { assistant, chat, prose, user } from '../support/conversation.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const LIMIT = 1024
/** An eighth of the limit. */
const RESERVE = 128

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ sim: { maxModelLen: LIMIT }, settings: { overflow: 'reject', freeze_at: 0 } })
})
afterAll(() => stack.close())
afterEach(() => stack.sim.requests.clear())

const model = 'sim-model'
const TOO_LONG = prose(600)
const NEAR = prose(465)

async function exactTokens(body: object): Promise<number> {
  const got = await ask(stack.sim.engineUrl, '/tokenize', { body: { model, ...body } })
  return jsonOf<{ count: number }>(got).count
}

/** Requests that made the engine compute. */
const computed = () =>
  stack.sim.requests.all('engine').filter(({ path }) => !/^\/(tokenize|v1\/models|.*\/render)$/.test(path))

describe('a prompt over the limit', () => {
  it('is rejected as OpenAI does, with exact numbers, and nothing is computed', async () => {
    const messages = [user(TOO_LONG)]
    const exact = await exactTokens({ messages })
    stack.sim.requests.clear()

    const got = await ask(stack.url, '/v1/chat/completions', { body: { model, messages } })

    expect(got.status).toBe(400)
    expect(errorOf(got)).toMatchObject({
      code: 'context_length_exceeded',
      type: 'invalid_request_error',
      param: 'messages',
    })
    expect(errorOf(got).message).toBe(
      `This model's maximum context length is ${LIMIT} tokens. However, this request has ${exact} tokens of prompt and wants room for ${RESERVE} of answer.`,
    )
    expect(computed()).toEqual([])
  })

  it('is an error with that code for the openai SDK', async () => {
    const client = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'none', maxRetries: 0 })

    const refusal = client.chat.completions.create({ model, messages: [{ role: 'user', content: TOO_LONG }] })

    await expect(refusal).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'messages' })
  })

  it('is an error that starts like Anthropic’s for its SDK', async () => {
    const client = new Anthropic({ baseURL: stack.url, apiKey: 'none', maxRetries: 0 })
    const exact = await exactTokens({ messages: [user(TOO_LONG)] })

    const refusal = client.messages.create({ model, max_tokens: 50, messages: [{ role: 'user', content: TOO_LONG }] })

    await expect(refusal).rejects.toMatchObject({
      status: 400,
      error: {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: expect.stringMatching(
            new RegExp(`^prompt is too long: ${exact} tokens > ${LIMIT} maximum`),
          ) as string,
        },
      },
    })
  })

  it.each([
    ['responses', '/v1/responses', { input: TOO_LONG }, 'input'],
    ['completions', '/v1/completions', { prompt: TOO_LONG, max_tokens: 20 }, 'prompt'],
    [
      'completions in ids',
      '/v1/completions',
      { prompt: Array.from({ length: 1010 }, () => 11), max_tokens: 20 },
      'prompt',
    ],
    ['a list of prompts', '/v1/completions', { prompt: ['Short.', TOO_LONG], max_tokens: 20 }, 'prompt'],
  ])('is rejected on %s', async (_, path, body, param) => {
    const got = await ask(stack.url, path, { body: { model, ...body } })

    expect(got.status).toBe(400)
    expect(errorOf(got)).toMatchObject({ code: 'context_length_exceeded', param })
    expect(computed()).toEqual([])
  })
})

// Render endpoints reject a prompt over the limit without a number (recorded: test/recorded/vllm-render.json).
describe('with render endpoints', () => {
  it('a prompt over the limit is rejected with exact numbers too', async () => {
    const other = await startStack({
      sim: { maxModelLen: LIMIT, scaleOut: true },
      settings: { overflow: 'reject', freeze_at: 0 },
    })
    try {
      const messages = [user(TOO_LONG)]
      const exact = await exactTokens({ messages })

      for (const [path, body] of [
        ['/v1/chat/completions', { messages }],
        ['/v1/responses', { input: TOO_LONG }],
      ] as const) {
        const got = await ask(other.url, path, { body: { model, ...body } })

        expect(errorOf(got)).toMatchObject({ code: 'context_length_exceeded' })
        expect(errorOf(got).message).toContain(`${exact} tokens of prompt`)
      }
    } finally {
      await other.close()
    }
  })
})

describe('a prompt near the limit', () => {
  it('is rejected if it leaves less than the reserve, whatever the client requests', async () => {
    const messages = [user(NEAR)]
    const exact = await exactTokens({ messages })
    expect(exact).toBeGreaterThan(LIMIT - RESERVE)
    expect(exact).toBeLessThan(LIMIT)

    const got = await ask(stack.url, '/v1/chat/completions', { body: { model, messages, max_tokens: 500 } })

    expect(errorOf(got).message).toContain(`${exact} tokens of prompt and wants room for ${RESERVE}`)
  })

  it('is forwarded if the client requests less than what is left', async () => {
    const got = await ask(stack.url, '/v1/chat/completions', { body: { model, messages: [user(NEAR)], max_tokens: 5 } })

    expect(got.status).toBe(200)
  })

  it('reports both numbers to Anthropic’s clients, some of which then request less', async () => {
    const messages = [user(NEAR)]
    const exact = await exactTokens({ messages })

    const got = await ask(stack.url, '/v1/messages', { body: { model, messages, max_tokens: 900 } })

    const { error } = jsonOf<{ error: { message: string } }>(got)
    expect(error.message).toContain(`context limit: ${exact} + ${RESERVE} > ${LIMIT}`)
  })
})

describe('a rejection', () => {
  it('names the newest window of the session', async () => {
    const headers = { 'x-cwm-session': 'with-window' }
    await chat(stack.url, [user(prose(100))], { headers })
    await rest(stack.url, 'POST', '/windows', { name: 'kept', session_id: 'with-window' })
    await rest(stack.url, 'POST', '/windows/kept/thaw', { session_id: 'with-window', replace: true })

    const got = await ask(stack.url, '/v1/chat/completions', { body: { model, messages: [user(TOO_LONG)] }, headers })

    expect(errorOf(got).message).toContain('window is kept')
  })

  it('does not change the session, so a shorter turn continues it', async () => {
    const headers = { 'x-cwm-session': 'goes-on' }
    const first = await chat(stack.url, [user(prose(100))], { headers })
    const history = [user(prose(100)), assistant(first.reply.content ?? '')]
    const refused = await ask(stack.url, '/v1/chat/completions', {
      body: { model, messages: [...history, user(TOO_LONG)] },
      headers,
    })

    const next = await chat(stack.url, [...history, user('And then?')], { headers })

    expect(refused.status).toBe(400)
    expect(next.cachedTokens).toBeGreaterThan(200)
  })

  it('prevents a thaw that would not fit', async () => {
    await chat(stack.url, [user(prose(350))], { headers: { 'x-cwm-session': 'large' } })
    await rest(stack.url, 'POST', '/windows', { name: 'large', session_id: 'large' })
    stack.sim.requests.clear()

    const got = await ask(stack.url, '/v1/chat/completions', {
      body: { model, messages: [user(prose(200))] },
      headers: { 'x-cwm-window': 'large' },
    })

    expect(errorOf(got).code).toBe('context_length_exceeded')
    expect(computed()).toEqual([])
  })
})

describe('the policy', () => {
  it('of the header overrides the setting', async () => {
    const passed = await ask(stack.url, '/v1/chat/completions', {
      body: { model, messages: [user(NEAR)] },
      headers: { 'x-cwm-overflow': 'pass' },
    })

    expect(passed.status).toBe(200)
  })

  it('with an unknown name is rejected', async () => {
    const got = await ask(stack.url, '/v1/chat/completions', {
      body: { model, messages: [user('Hi')] },
      headers: { 'x-cwm-overflow': 'truncate' },
    })

    expect(got.status).toBe(400)
    expect(errorOf(got)).toMatchObject({ code: 'invalid_header', param: 'x-cwm-overflow' })
  })

  it('makes no tokenizer request for a prompt that is certainly small enough, whatever the template adds', async () => {
    const larger = await startStack({ sim: { maxModelLen: 2048 }, settings: { overflow: 'reject', freeze_at: 0 } })
    try {
      larger.sim.requests.clear()
      await chat(larger.url, [user('Where does it run?')])

      const paths = larger.sim.requests.all('engine').map(({ path }) => path)
      expect(paths.filter((path) => path !== '/v1/models')).toEqual(['/v1/chat/completions'])
    } finally {
      await larger.close()
    }
  })
})
