// Rights and limits of a tenant by its entry in the settings: models, fields, limits.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { askChat, chat, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const narrow = bearer('sk-narrow-0123456')
const wide = bearer('sk-wide-012345678')
const small = bearer('sk-small-01234567')
const keysOf = (headers: { authorization: string }) => [
  { name: 'main', sha256: keyHash(headers.authorization.slice(7)) },
]

const tenants: NonNullable<Settings['tenants']> = [
  { id: 'narrow', keys: keysOf(narrow), models: ['sim-model', 'gone'], allowed_fields: [] },
  { id: 'wide', keys: keysOf(wide), allowed_fields: ['Priority', 'x-vllm-priority'] },
  {
    id: 'small',
    keys: keysOf(small),
    max_windows: 1,
    max_sessions: 2,
    max_in_flight_per_tenant: 9,
    pin_ttl_ms: 60_000,
  },
]

let stack: Stack
beforeAll(async () => {
  const adapters = [{ name: 'other-model', path: './adapters/other' }]
  stack = await startStack({ sim: { adapters }, settings: { tenants } })
})
afterAll(() => stack.close())

const engineCalls = () => stack.sim.requests.all('engine').filter(({ path }) => path !== '/v1/models').length

describe('a tenant that may not use all models', () => {
  const prompt = { prompt: 'x' }
  const messages = { messages: [user('hello')], max_tokens: 5 }
  const input = { input: 'hello' }
  const paths: [path: string, body: object][] = [
    ['/v1/chat/completions', messages],
    ['/v1/completions', prompt],
    ['/v1/responses', input],
    ['/v1/messages', messages],
    ['/cwm/s/s1/v1/chat/completions', messages],
    ['/tokenize', prompt],
    ['/detokenize', { tokens: [1] }],
    ['/v1/messages/count_tokens', messages],
  ]

  it.each(paths)('cannot use another model on %s, or none, and nothing goes upstream', async (path, body) => {
    const before = engineCalls()

    for (const model of ['other-model', undefined, null, ['sim-model'], 'sim-model ']) {
      const got = await ask(stack.url, path, { headers: narrow, body: { ...body, model } })
      expect([got.status, got.text]).toEqual([403, expect.stringContaining('gone, sim-model')])
    }
    expect(engineCalls()).toBe(before)
  })

  it('gets an error with the invalid field and the allowed models', async () => {
    const got = await askChat(stack.url, [user('hello')], { headers: narrow, body: { model: 'other-model' } })

    expect(errorOf(got)).toEqual({
      message: 'this key may use gone, sim-model; name one of them',
      type: 'permission_error',
      param: 'model',
      code: 'forbidden_model',
    })
  })

  it('cannot create a window of another model', async () => {
    const body = { model: 'other-model', messages: [user('hello')] }
    const got = await ask(stack.url, '/cwm/v1/windows/w', { method: 'PUT', headers: narrow, body })

    expect([got.status, errorOf(got).code]).toEqual([403, 'forbidden_model'])
  })

  it('can use its own models, including their tokenizer paths', async () => {
    expect((await chat(stack.url, [user('hello')], { headers: narrow })).got.status).toBe(200)
    const got = await ask(stack.url, '/tokenize', { headers: narrow, body: { model: 'sim-model', ...prompt } })
    expect(jsonOf<{ count: number }>(got).count).toBeGreaterThan(0)
  })

  it('lists those of its models that the engine serves; other tenants get the unchanged list', async () => {
    const ids = async (headers: { authorization: string }) =>
      jsonOf<{ data: { id: string }[] }>(await ask(stack.url, '/v1/models', { headers })).data.map(({ id }) => id)

    expect(await ids(narrow)).toEqual(['sim-model'])
    expect(await ids(wide)).toEqual(['sim-model', 'other-model'])
    const head = await ask(stack.url, '/v1/models', { method: 'HEAD', headers: narrow })
    expect([head.status, head.body.length]).toEqual([200, 0])
  })

  it('cannot send bodies without a readable model on plain paths', async () => {
    const headers = { ...narrow, 'content-type': 'multipart/form-data; boundary=x' }
    const got = await ask(stack.url, '/tokenize', { headers, body: '--x--' })

    expect(got.status).toBe(415)
  })
})

describe('fields that bypass the gateway', () => {
  it('are accepted from the tenant whose entry allows them, and from no other', async () => {
    const body = { priority: 3 }
    const allowed = await askChat(stack.url, [user('hi')], { headers: { ...wide, 'x-vllm-priority': '1' }, body })
    const byField = await askChat(stack.url, [user('hi')], { headers: narrow, body })
    const byHeader = await askChat(stack.url, [user('hi')], { headers: { ...narrow, 'x-vllm-priority': '1' } })

    expect([allowed.status, byField.status, byHeader.status]).toEqual([200, 400, 400])
    expect([errorOf(byField).code, errorOf(byHeader).code]).toEqual(['forbidden_field', 'forbidden_header'])
  })
})

describe('limits', () => {
  const put = (name: string) => {
    const body = { model: 'sim-model', messages: [user(`this is ${name}`)] }
    return ask(stack.url, `/cwm/v1/windows/${name}`, { method: 'PUT', headers: small, body })
  }

  it('on windows are enforced with 403, which reports the usage', async () => {
    const first = await put('one')
    const second = await put('two')

    expect(first.status).toBe(201)
    expect([second.status, errorOf(second).code]).toEqual([403, 'quota_exceeded'])
    const me = jsonOf(await ask(stack.url, '/cwm/v1/tenants/me', { headers: small }))
    expect(me).toEqual({
      id: 'small',
      usage: expect.objectContaining({ windows: 1, window_bytes: expect.any(Number) }),
      limits: { max_windows: 1, max_sessions: 2, max_in_flight_per_tenant: 9, pin_ttl_ms: 60_000 },
      isolation: 'session',
      when_pins_full: 'reject',
    })
  })

  it('on sessions are enforced with 403, for new ones only', async () => {
    const named = (id: string) => askChat(stack.url, [user('hello')], { headers: { ...small, 'x-cwm-session': id } })
    const statuses = [await named('a'), await named('b'), await named('c'), await named('a')].map((got) => got.status)

    expect(statuses).toEqual([200, 200, 403, 200])
  })

  // Both retry 408, 409, 429 and 5xx on their own.
  it('do not cause retries by the SDKs of OpenAI and Anthropic', async () => {
    for (const id of ['a', 'b'])
      await askChat(stack.url, [user('hello')], { headers: { ...small, 'x-cwm-session': id } })
    let calls = 0
    const counted: typeof fetch = (...request) => {
      calls += 1
      return fetch(...request)
    }
    const apiKey = small.authorization.slice(7)
    const options = { fetch: counted, defaultHeaders: { 'x-cwm-session': 'one-too-many' } }
    const turn = { model: 'sim-model', max_tokens: 5, messages: [{ role: 'user' as const, content: 'hello' }] }

    const openai = new OpenAI({ ...options, apiKey, baseURL: `${stack.url}/v1` }).chat.completions.create(turn)
    await expect(openai).rejects.toMatchObject({ status: 403, code: 'quota_exceeded', type: 'quota_exceeded_error' })
    const anthropic = new Anthropic({ ...options, apiKey, baseURL: stack.url }).messages.create(turn)
    await expect(anthropic).rejects.toMatchObject({ status: 403, error: { error: { code: 'quota_exceeded' } } })
    expect(calls).toBe(2)
  })

  it('of one tenant do not affect another', async () => {
    expect((await chat(stack.url, [user('hello')], { headers: wide })).got.status).toBe(200)
  })
})
