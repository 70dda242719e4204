// Requests without a session: embeddings, scores, batches. Each is isolated by a salt of its own, checked like a turn, and erased with its tenant.

import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { prose, saltsIn, user } from '../support/conversation.ts'
import { placements, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
afterEach(() => stack.close())

const start = async (settings: Partial<Settings> = {}) => {
  stack = await startStack({ settings })
}

const ann = { authorization: 'Bearer key-of-ann' }
const bob = { authorization: 'Bearer key-of-bob' }
const model = 'sim-model'
/** Six chunks and a rest. */
const input = prose(800)

const post = (path: string, body: object, headers: Record<string, string> = {}) =>
  ask(stack.url, path, { body: { model, ...body }, headers })

/** The bodies that reached the engine on this path. */
const sentTo = (path: string) =>
  stack.sim.requests
    .all('engine')
    .filter((request) => request.path === path && request.method === 'POST')
    .map(({ body }) => body?.toString('utf8') ?? '')

/** The salt of each request to this path. */
const saltsOf = (path: string) => sentTo(path).map((text) => saltsIn(Buffer.from(text)).join())

const two = [[user('hi')], [user('there')]]
const salted: readonly (readonly [string, object])[] = [
  ['/v1/embeddings', { input: 'hi' }],
  ['/pooling', { input: 'hi' }],
  ['/classify', { input: 'hi' }],
  ['/score', { queries: 'hi', documents: ['there'] }],
  ['/v1/score', { text_1: 'hi', text_2: 'there' }],
  ['/rerank', { query: 'hi', documents: ['there'] }],
  ['/v1/rerank', { query: 'hi', documents: ['there'] }],
  ['/v2/rerank', { query: 'hi', documents: ['there'] }],
  ['/v1/chat/completions/batch', { messages: two, max_tokens: 2 }],
]

describe('a request without a session', () => {
  it.each(salted)('gets one salt on POST %s, another each time, and leaves no session', async (path, body) => {
    await start()

    const answers = [await post(path, body), await post(path, body)]

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    const salts = saltsOf(path)
    expect(salts).toEqual([expect.stringMatching(/^[\w-]{43}$/), expect.stringMatching(/^[\w-]{43}$/)])
    expect(new Set(salts).size).toBe(2)
    expect(answers[0]?.headers['x-cwm-session']).toBeUndefined()
    expect(await rest(stack.url, 'GET', '/sessions')).toMatchObject({ data: [] })
  })

  it('of one tenant loads nothing that another has computed, nor its own, and shares by the setting', async () => {
    await start()
    const cachedOf = async (headers: Record<string, string>) => {
      const before = stack.sim.cachedTokens()
      await post('/v1/embeddings', { input }, headers)
      return stack.sim.cachedTokens() - before
    }

    expect([await cachedOf(ann), await cachedOf(bob), await cachedOf(ann)]).toEqual([0, 0, 0])

    await stack.restart({ isolation: 'tenant' })
    expect(await cachedOf(ann)).toBe(0)
    expect(await cachedOf(ann)).toBeGreaterThan(700)
    expect(await cachedOf(bob)).toBe(0)
  })

  it("mixes the client's own salt in, and leaves the rest of the body as it came", async () => {
    await start({ isolation: 'tenant' })

    await ask(stack.url, '/v1/embeddings', { body: `{ "model":"sim-model",  "input":"hi", "cache_salt":"mine"}` })
    await post('/v1/embeddings', { input: 'hi', cache_salt: 'mine' })
    await post('/v1/embeddings', { input: 'hi', cache_salt: 'other' })

    const [mine, again, other] = saltsOf('/v1/embeddings')
    expect([mine === again, mine === other, mine === 'mine']).toEqual([true, false, false])
    expect(sentTo('/v1/embeddings')[0]).toBe(`{ "model":"sim-model",  "input":"hi", "cache_salt":"${mine}"}`)
  })

  it('shares KV by user under isolation by user', async () => {
    await start({ isolation: 'user' })

    for (const name of ['eve', 'eve', 'zoe', undefined, undefined]) {
      await post('/v1/embeddings', { input: 'hi', ...(name === undefined ? {} : { user: name }) })
    }

    const [eve, again, zoe, nobody, other] = saltsOf('/v1/embeddings')
    expect([eve === again, new Set([eve, zoe, nobody, other]).size]).toEqual([true, 4])
  })

  it('puts one salt before all conversations of a batch, and each gets its choice', async () => {
    await start()

    const got = await post('/v1/chat/completions/batch', { messages: two, max_tokens: 4 })

    expect(jsonOf<{ choices: unknown[] }>(got).choices).toMatchObject([
      { index: 0, message: { role: 'assistant' } },
      { index: 1, message: { role: 'assistant' } },
    ])
    expect(saltsOf('/v1/chat/completions/batch')).toHaveLength(1)
  })

  it('answers an official SDK', async () => {
    await start()
    const openai = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'key-of-ann', maxRetries: 0 })

    const { data, usage } = await openai.embeddings.create({ model, input: ['a', 'b'] })
    const inSession = new OpenAI({ baseURL: `${stack.url}/cwm/s/my-chat/v1`, apiKey: 'key-of-ann', maxRetries: 0 })
    const same = await inSession.embeddings.create({ model, input: 'a' })

    expect(data.map(({ embedding }) => embedding.length)).toEqual([8, 8])
    expect(usage.prompt_tokens).toBeGreaterThan(0)
    expect(same.data[0]?.embedding).toEqual(data[0]?.embedding)
  })

  it('is named in the log and the metrics by path and model', async () => {
    await start()

    await post('/v1/rerank', { query: 'a', documents: ['b'] })

    const { text } = await ask(stack.url, '/cwm/metrics')
    expect(text).toMatch(/cwm_requests_total\{[^}]*route="\/v1\/rerank"[^}]*\} 1/)
  })
})

describe('what a request without a session may hold', () => {
  it.each([
    ['/v1/embeddings', { input: 'hi', priority: 1 }, 'priority'],
    ['/v1/rerank', { query: 'hi', documents: ['a'], request_id: 'r' }, 'request_id'],
    [
      '/v1/chat/completions/batch',
      { messages: [[{ role: 'user', content: [{ type: 'text', text: 'a', uuid: 'u' }] }]] },
      'messages',
    ],
    [
      '/v1/score',
      { queries: 'hi', documents: [{ content: [{ type: 'image_url', image_url: { url: 'x' }, uuid: 'u' }] }] },
      'documents',
    ],
    ['/v1/embeddings', { input: [[{ role: 'user', content: [{ type: 'prompt_embeds', data: 'AA==' }] }]] }, 'input'],
    ['/inference/v1/generate', { token_ids: [1], sampling_params: {}, features: { mm_hashes: {} } }, 'features'],
    [
      '/inference/v1/generate',
      { token_ids: [1], sampling_params: {}, content_parts: [{ type: 'image_url', url: 'x', uuid: 'u' }] },
      'content_parts',
    ],
    [
      '/inference/v1/generate',
      { token_ids: [1], sampling_params: { extra_args: { kv_transfer_params: {} } } },
      'sampling_params.extra_args',
    ],
    [
      '/v1/chat/completions/render',
      { messages: [{ role: 'user', content: [{ type: 'image_url', uuid: 'u' }] }] },
      'messages',
    ],
    // Only a turn checks who owns a stored response. Here it would show another tenant's.
    ['/v1/responses/render', { input: 'hi', previous_response_id: 'resp_1' }, 'previous_response_id'],
  ])('is rejected on %s: %j', async (path, body, param) => {
    await start()

    const got = await post(path, body)

    expect(errorOf(got)).toMatchObject({ code: 'forbidden_field', param })
    expect([got.status, sentTo(path)]).toEqual([400, []])
  })

  it('includes a response to render, as of any dialect', async () => {
    stack = await startStack({ sim: { scaleOut: true } })

    const got = await post('/v1/responses/render', { input: 'hi', previous_response_id: null })

    expect([got.status, jsonOf<{ token_ids?: unknown }>(got).token_ids]).toEqual([200, expect.any(Array)])
    expect(saltsOf('/v1/responses/render')).toEqual([''])
  })

  it('includes fields of the same names elsewhere', async () => {
    await start()

    const got = await post('/v1/embeddings', { input: 'hi', features: {}, data: [{ uuid: 'u' }] })

    expect(got.status).toBe(200)
  })

  it.each([
    ['/v1/embeddings', { input: 'hi' }],
    ['/v1/rerank', { query: 'hi', documents: ['a'] }],
    ['/v1/chat/completions/batch', { messages: two }],
    ['/v1/chat/completions/render', { messages: two[0] }],
    ['/v2/embed', { texts: ['hi'] }],
  ])('holds to the list of models on %s', async (path, body) => {
    const tenants = [{ id: 'ann', keys: [{ name: 'k', sha256: keyHash('key-of-ann') }], models: ['mine'] }]
    await start({ tenants, unsalted_paths: ['/v2/embed'] } as Partial<Settings>)

    const answers = [
      await post(path, { ...body, model: 'theirs' }, ann),
      await ask(stack.url, path, { body, headers: ann }),
    ]

    expect(answers.map((got) => [got.status, errorOf(got).code])).toEqual([
      [403, 'forbidden_model'],
      [403, 'forbidden_model'],
    ])
    expect(sentTo(path)).toEqual([])
  })

  it('includes no freeze, for there is no conversation', async () => {
    await start()

    const got = await post('/v1/embeddings', { input: 'hi' }, { 'x-cwm-freeze': 'w' })

    expect([got.status, errorOf(got).param]).toEqual([400, 'x-cwm-freeze'])
  })
})

describe('the KV of requests without a session', () => {
  it('is deleted with its tenant, though no session names it', async () => {
    await start()
    await post('/v1/embeddings', { input }, ann)
    await post('/v1/embeddings', { input }, bob)
    const both = await placements(stack.sim)

    const erased = await rest(stack.url, 'DELETE', '/tenants/me', undefined, ann)

    expect(both).toBeGreaterThan(0)
    expect(erased).toMatchObject({ sessions: 0, windows: 0, deleted_chunks: 6, residual_chunks: 0 })
    expect(await placements(stack.sim)).toBe(both / 2)
    await post('/v1/embeddings', { input: 'hi' }, ann)
    expect(new Set(saltsOf('/v1/embeddings')).size).toBe(3)
  })

  it('is deleted with its tenant after a restart, shared or not', async () => {
    await start({ isolation: 'tenant' })
    await post('/v1/embeddings', { input }, ann)
    await stack.restart()
    await post('/v1/embeddings', { input: `${input} more` }, ann)

    const erased = await rest(stack.url, 'DELETE', '/tenants/me', undefined, ann)

    expect(new Set(saltsOf('/v1/embeddings')).size).toBe(1)
    expect(erased).toMatchObject({ residual_chunks: 0 })
    expect(await placements(stack.sim)).toBe(0)
  })

  it('is deleted with its tenant under all salts of a shared lineage, and none of them is used again', async () => {
    await start({ isolation: 'tenant' })
    const embedBoth = async () => [
      await post('/v1/embeddings', { input }, ann),
      await post('/v1/embeddings', { input, cache_salt: 'mine' }, ann),
    ]
    await embedBoth()

    const erased = await rest(stack.url, 'DELETE', '/tenants/me', undefined, ann)

    expect(erased).toMatchObject({ deleted_chunks: 12, residual_chunks: 0 })
    expect((await embedBoth()).map(({ status }) => status)).toEqual([200, 200])
    expect(new Set(saltsOf('/v1/embeddings')).size).toBe(4)
  })

  it('is listed as one deletion for many requests', async () => {
    await start()
    for (let n = 0; n < 4; n++) await post('/v1/embeddings', { input: 'hi' })

    expect(await rest(stack.url, 'GET', '/deletions')).toMatchObject({
      data: [{ kind: 'requests', name: '4', state: 'open' }],
    })
  })
})

describe('paths that nothing isolates', () => {
  const refused = ['/v1/audio/transcriptions', '/v2/embed', '/cohere/v2/chat', '/invocations', '/v1/realtime']

  it.each(refused)('are rejected with the reason: %s', async (path) => {
    await start()

    const got = await ask(stack.url, path, path === '/v1/realtime' ? {} : { body: { model } })

    expect([got.status, errorOf(got).code]).toEqual([403, 'unsalted_path'])
    expect(errorOf(got).message).toContain('nothing isolates its KV')
  })

  it('pass without a salt once the operator lists them, but not their steering headers', async () => {
    await start({ unsalted_paths: ['/invocations'] })

    await post('/invocations', { messages: [user('hi')] })
    const steered = await post('/invocations', {}, { 'x-amzn-sagemaker-adapter-identifier': 'theirs' })

    expect(sentTo('/invocations')).toEqual(['{"model":"sim-model","messages":[{"role":"user","content":"hi"}]}'])
    expect([steered.status, errorOf(steered).code]).toEqual([400, 'forbidden_header'])
  })
})

describe('a form with a file, on a path that the operator lists', () => {
  const AUDIO = '/v1/audio/transcriptions'
  const formOf = (fields: Record<string, string>) => {
    const parts = Object.entries(fields).map(
      ([name, text]) => `--abc\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`,
    )
    const file = '--abc\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\u0000\xff\r\n'
    return Buffer.from(`${file}${parts.join('')}--abc--\r\n`, 'latin1')
  }
  const send = (fields: Record<string, string>, headers: Record<string, string> = {}) => {
    const body = formOf(fields)
    const own = { 'content-type': 'multipart/form-data; boundary=abc', 'content-length': String(body.length) }
    return ask(stack.url, AUDIO, { method: 'POST', body, headers: { ...own, ...headers } })
  }
  const tenants = [{ id: 'ann', keys: [{ name: 'k', sha256: keyHash('key-of-ann') }], models: ['mine'] }]
  const listed = { unsalted_paths: [AUDIO], tenants } as Partial<Settings>
  const received = () => stack.sim.requests.all('engine').filter(({ path }) => path === AUDIO)

  it('goes on byte for byte, with its own length', async () => {
    await start(listed)

    await send({ model: 'mine', 'timestamp_granularities[]': 'word' }, ann)

    expect(received().map(({ body }) => body)).toEqual([formOf({ model: 'mine', 'timestamp_granularities[]': 'word' })])
  })

  it.each([
    [{ model: 'theirs' }, 403, 'forbidden_model'],
    [{ language: 'en' }, 403, 'forbidden_model'],
    [{ model: 'mine', vllm_xargs: '{}' }, 400, 'forbidden_field'],
    [{ model: 'mine', request_id: 'r' }, 400, 'forbidden_field'],
  ])('is checked in its text fields like JSON: %j', async (fields, status, code) => {
    await start(listed)

    const got = await send(fields as Record<string, string>, ann)

    expect([got.status, errorOf(got).code]).toEqual([status, code])
    expect(received()).toEqual([])
  })
})

describe("paths of the engine's administration", () => {
  it("take the operator's key only, and never send it on", async () => {
    await start({ operator_key: 'key-of-the-operator', upstream_api_key: 'of the engine' })
    const call = (headers: Record<string, string>) => ask(stack.url, '/reset_prefix_cache', { method: 'POST', headers })

    const answers = [await call({}), await call(ann), await call({ authorization: 'Bearer key-of-the-operator' })]

    expect(answers.map(({ status }) => status)).toEqual([401, 401, 200])
    const sent = stack.sim.requests.all('engine').filter(({ path }) => path === '/reset_prefix_cache')
    expect(sent.map(({ headers }) => headers.authorization)).toEqual(['Bearer of the engine'])
  })

  it('are closed to all where there is no such key', async () => {
    await start()

    expect((await ask(stack.url, '/reset_prefix_cache', { method: 'POST' })).status).toBe(401)
  })
})
