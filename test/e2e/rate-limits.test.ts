// Requests and tokens a minute, of tenants; those of single keys: rate-limits-of-keys.test.ts. The clock stands still unless a test moves it.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import type { TenantJson } from '../../src/wire/tenants.ts'
import { askedMany, documentWindow } from '../support/asks.ts'
import { ask, errorOf, type Got, jsonOf } from '../support/client.ts'
import { askChat, type ChatMessage, chat, prose, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { metricOf } from '../support/departing-client.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { call, frozenSession, rest } from '../support/rest.ts'
import { type Stack, type StackOptions, startStack } from '../support/stack.ts'

const CHAT = '/v1/chat/completions'

let stack: Stack | undefined
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(async () => {
  await stack?.close()
  stack = undefined
  vi.useRealTimers()
})

async function start(settings: Partial<Settings>, options: Omit<StackOptions, 'settings'> = {}): Promise<string> {
  stack = await startStack({ ...options, settings })
  return stack.url
}

const pass = (ms: number) => vi.setSystemTime(Date.now() + ms)
const engineChats = () => stack?.sim.requests.all('engine').filter(({ path }) => path === CHAT) ?? []

/** The numbers of the headers about tokens: limit, remaining. */
const tokensOf = ({ headers }: Pick<Got, 'headers'>) =>
  ['limit', 'remaining'].map((name) => Number(headers[`x-ratelimit-${name}-tokens`]))
const me = (headers = {}) => rest<TenantJson>(stack?.url ?? '', 'GET', '/tenants/me', undefined, headers)
const tokensLeft = async () => (await me()).rates?.tenant.tokens?.remaining

interface UsageJson {
  readonly usage: {
    readonly prompt_tokens: number
    readonly completion_tokens: number
    readonly prompt_tokens_details: { readonly cached_tokens: number }
  }
}

/** What an answer's tokens cost. */
function computedIn(got: Got): number {
  const { prompt_tokens, completion_tokens, prompt_tokens_details } = jsonOf<UsageJson>(got).usage
  return prompt_tokens - prompt_tokens_details.cached_tokens + completion_tokens
}

describe('requests a minute', () => {
  it('beyond the limit are answered 429 in OpenAI’s form, reach no engine, and fit again after Retry-After', async () => {
    const url = await start({ requests_per_minute: 2 })
    const first = await askChat(url, [user('one')])
    pass(15_000)
    await askChat(url, [user('two')])

    const third = await askChat(url, [user('three')])
    const reached = engineChats().length
    pass(Number(third.headers['retry-after']) * 1000)
    const again = await askChat(url, [user('three')])

    expect(first.headers).toMatchObject({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': expect.stringMatching(/^(1m0|1m1|60\.\d+|1m0\.\d+)s$/),
    })
    expect(first.headers).not.toHaveProperty('x-ratelimit-limit-tokens')
    expect(third.status).toBe(429)
    expect(errorOf(third)).toMatchObject({ code: 'rate_limit_exceeded', type: 'rate_limit_error' })
    expect(errorOf(third).message).toContain('requests_per_minute is 2, 2 are used')
    expect(Number(third.headers['retry-after'])).toBeGreaterThan(44)
    expect(Number(third.headers['retry-after'])).toBeLessThanOrEqual(46)
    expect(third.headers['x-ratelimit-remaining-requests']).toBe('0')
    expect([reached, again.status]).toEqual([2, 200])
    expect(await metricOf(url, 'cwm_rate_limited_total')).toBe(1)
  })

  it('are those of each tenant alone', async () => {
    const url = await start({ requests_per_minute: 1 })
    const from = (key: string) => askChat(url, [user('hello')], { headers: { authorization: `Bearer ${key}` } })

    const statuses = [await from('ann'), await from('ann'), await from('bo')].map(({ status }) => status)

    expect(statuses).toEqual([200, 429, 200])
  })

  it('count only if they are for a model', async () => {
    const url = await start({ requests_per_minute: 1 })

    await ask(url, '/v1/models')
    await ask(url, '/tokenize', { body: { model: 'sim-model', prompt: 'hello' } })
    await call(url, 'GET', '/sessions')
    await ask(url, '/v1/chat/completions/render', { body: { model: 'sim-model', messages: [user('hello')] } })

    expect((await askChat(url, [user('hello')])).status).toBe(200)
  })
})

describe('tokens a minute', () => {
  it('are settled by what the engine computed', async () => {
    const url = await start({ tokens_per_minute: 5_000 })

    const got = await askChat(url, [user(prose(300))])

    expect(await tokensLeft()).toBe(5_000 - computedIn(got))
  })

  it('leave out what is cached: a conversation of many times the limit goes on', async () => {
    const url = await start({ tokens_per_minute: 4_000 })
    const history: ChatMessage[] = [user(prose(600))]
    const answers: Got[] = []

    for (let turn = 0; turn < 20; turn++) {
      const { got, reply } = await chat(url, history)
      answers.push(got)
      history.push(reply, user(`And number ${turn}?`))
    }

    const prompts = answers.reduce((sum, got) => sum + jsonOf<UsageJson>(got).usage.prompt_tokens, 0)
    expect(prompts).toBeGreaterThan(4 * 4_000)
    expect(await tokensLeft()).toBe(4_000 - answers.reduce((sum, got) => sum + computedIn(got), 0))
  })

  it('are reserved before the dispatch, so that requests in parallel do not exceed the limit', async () => {
    const url = await start({ tokens_per_minute: 1_000 })
    stack?.sim.fault({ path: CHAT, times: 20, action: { kind: 'delay', ms: 200 } })

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => askChat(url, [user(`${i} ${prose(100, `s${i}`)}`)])),
    )

    const accepted = answers.filter(({ status }) => status === 200)
    expect(accepted.length).toBeGreaterThan(1)
    expect(accepted.reduce((sum, got) => sum + computedIn(got), 0)).toBeLessThanOrEqual(1_000)
    for (const got of answers) if (got.status !== 200) expect(errorOf(got).code).toBe('rate_limit_exceeded')
    expect(engineChats()).toHaveLength(accepted.length)
  })

  it('that exceed the limit in one request are refused for good, and the SDK does not retry', async () => {
    const url = await start({ tokens_per_minute: 200 })
    let calls = 0
    const client = new OpenAI({
      baseURL: `${url}/v1`,
      apiKey: 'none',
      fetch: (input, init) => {
        calls++
        return fetch(input, init)
      },
    })

    const error: unknown = await client.chat.completions
      .create({ model: 'sim-model', max_tokens: 500, messages: [{ role: 'user', content: 'Hello.' }] })
      .catch((thrown: unknown) => thrown)

    expect(error).toMatchObject({ status: 400, code: 'rate_limit_too_small' })
    expect(String(error)).toMatch(/needs about 5\d\d tokens, and your tokens_per_minute is 200/)
    expect([calls, engineChats().length]).toEqual([1, 0])
  })

  it('of a stream are in its head, and settled at its end', async () => {
    const url = await start({ tokens_per_minute: 5_000 })

    const got = await askChat(url, [user(prose(100))], { body: { stream: true } })
    const [limit, remaining = 0] = tokensOf(got)

    expect(limit).toBe(5_000)
    expect(remaining).toBeLessThan(5_000 - 40)
    expect(await tokensLeft()).toBeGreaterThan(remaining)
    expect(got.text).not.toContain('"usage":{')
  })

  it('of an aborted stream stay reserved, and what was answered beyond that is added', async () => {
    const delta = { id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: ' word' } }] }
    const engine = await startFakeUpstream((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`data: ${JSON.stringify(delta)}\n\n`.repeat(1_500))
    })
    const url = await start({ tokens_per_minute: 100_000 }, { upstream: () => engine.url })
    const client = new AbortController()
    let seen = ''
    const onText = (text: string) => {
      seen += text
      if (seen.split(' word').length > 1_500) client.abort()
    }

    const body = { model: 'sim-model', messages: [user('hi')], max_tokens: 4_000, stream: true }
    await ask(url, CHAT, { body, signal: client.signal, onText }).catch(() => {})
    const left = await until('the abort is settled', async () => {
      const tokens = await tokensLeft()
      return tokens !== undefined && tokens < 100_000 - 1_400 && tokens
    })
    await engine.close()

    expect(100_000 - left).toBeGreaterThanOrEqual(1_500)
    expect(100_000 - left).toBeLessThan(1_600)
  })

  it('of a stream that is aborted at once stay reserved', async () => {
    const engine = await startFakeUpstream(() => {})
    const url = await start({ tokens_per_minute: 100_000 }, { upstream: () => engine.url })
    const client = new AbortController()

    const body = { model: 'sim-model', messages: [user('hi')], max_tokens: 300 }
    const gone = ask(url, CHAT, { body, signal: client.signal }).catch(() => 'gone')
    await until('it is at the engine', () => engine.received.length === 1)
    client.abort()
    await gone
    await until('cwm knows', async () => (await metricOf(url, 'cwm_requests_in_flight')) === 0)
    const used = 100_000 - ((await tokensLeft()) ?? 0)
    await engine.close()

    expect(used).toBeGreaterThan(300)
    expect(used).toBeLessThan(350)
  })

  it('are given back if the engine refuses the request, which still counts', async () => {
    const url = await start({ tokens_per_minute: 5_000, requests_per_minute: 10 })
    stack?.sim.fault({
      path: CHAT,
      times: 1,
      action: { kind: 'status', status: 400, body: '{"error":{"message":"no"}}' },
    })

    const got = await askChat(url, [user(prose(300))])

    expect(got.status).toBe(400)
    expect((await me()).rates?.tenant).toMatchObject({ requests: { remaining: 9 }, tokens: { remaining: 5_000 } })
  })

  it('are given back, with the request, if it never reaches an engine', async () => {
    const url = await start({ tokens_per_minute: 5_000, requests_per_minute: 10 })

    const got = await askChat(url, [user('hello')], { headers: { 'x-cwm-window': 'none' } })

    expect(got.status).toBe(404)
    expect((await me()).rates?.tenant).toMatchObject({ requests: { remaining: 10 }, tokens: { remaining: 5_000 } })
  })

  it('that an engine does not report as cached or not are charged as expected', async () => {
    const url = await start({ tokens_per_minute: 5_000 }, { sim: { promptTokensDetails: false } })
    const first = await chat(url, [user(prose(900))])
    const before = (await tokensLeft()) ?? 0

    await chat(url, [user(prose(900)), first.reply, user('And now?')])

    expect(5_000 - before).toBeGreaterThan(first.promptTokens)
    expect(before - ((await tokensLeft()) ?? 0)).toBeLessThan(200)
  })
})

describe('other paths', () => {
  it('/v1/messages answers in Anthropic’s form', async () => {
    const url = await start({ tokens_per_minute: 5_000, requests_per_minute: 1 })
    const body = { model: 'sim-model', max_tokens: 10, messages: [user('hello')] }

    const first = await ask(url, '/v1/messages', { body })
    const second = await ask(url, '/v1/messages', { body })

    expect(first.headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '1',
      'anthropic-ratelimit-requests-remaining': '0',
      'anthropic-ratelimit-tokens-limit': '5000',
    })
    const reset = String(first.headers['anthropic-ratelimit-requests-reset'])
    expect(reset).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect((Date.parse(reset) - Date.now()) / 1000).toBeGreaterThan(58)
    expect(second.status).toBe(429)
    expect(jsonOf(second)).toMatchObject({ type: 'error', error: { type: 'rate_limit_error' } })
    expect(Number(second.headers['retry-after'])).toBeGreaterThan(0)
    expect(second.headers).not.toHaveProperty('x-ratelimit-limit-requests')
  })

  it.each([
    ['/v1/completions', { prompt: prose(100), max_tokens: 10 }],
    ['/v1/responses', { input: prose(100), max_output_tokens: 16 }],
    ['/v1/embeddings', { input: prose(100) }],
    ['/rerank', { query: 'mills', documents: [prose(50), prose(50)] }],
    ['/score', { text_1: 'mills', text_2: prose(100) }],
  ])('%s is counted and limited', async (path, body) => {
    const url = await start({ tokens_per_minute: 2_000, requests_per_minute: 1 })

    const first = await ask(url, path, { body: { model: 'sim-model', ...body } })
    const left = (await tokensLeft()) ?? 0
    const second = await ask(url, path, { body: { model: 'sim-model', ...body } })

    expect([first.status, second.status]).toEqual([200, 429])
    expect(tokensOf(first)[0]).toBe(2_000)
    expect(2_000 - left).toBeGreaterThan(100)
    expect(2_000 - left).toBeLessThan(1_400)
  })
})

describe('questions to windows', () => {
  it('pay for the question and the answer only, because the window is restored', async () => {
    const url = await start({ tokens_per_minute: 3_000 })
    await frozenSession(url, { words: 700 })
    pass(70_000)
    const ask8 = () => rest(url, 'POST', '/windows/w/ask', { question: 'Which buoy?', max_tokens: 20, stream: false })

    for (let n = 0; n < 8; n++) await ask8()

    const used = 3_000 - ((await tokensLeft()) ?? 0)
    expect(used).toBeGreaterThan(8 * 20)
    expect(used).toBeLessThan(8 * 120)
  })

  it('are refused like turns', async () => {
    const url = await start({ requests_per_minute: 1 })
    await frozenSession(url)

    const got = await call(url, 'POST', '/windows/w/ask', { question: 'Which buoy?', stream: false })

    expect([got.status, errorOf(got).code]).toEqual([429, 'rate_limit_exceeded'])
    expect(Number(got.headers['retry-after'])).toBeGreaterThan(0)
    expect(got.headers['x-ratelimit-limit-requests']).toBe('1')
  })

  it('to many windows wait until the limit lets them through', async () => {
    const url = await start({ requests_per_minute: 3 })
    for (const name of ['a', 'b', 'c']) await documentWindow(url, name)
    for (let n = 0; n < 3; n++) await chat(url, [user('hello')])
    pass(59_500)
    const ticking = setInterval(() => pass(50), 50)

    const answer = await askedMany(url, {
      question: 'Which harbor?',
      windows: { tag: 'law' },
      reduce: 'none',
      max_tokens: 20,
    }).finally(() => clearInterval(ticking))

    expect(answer.answers.map(({ window }) => window).sort()).toEqual(['a', 'b', 'c'])
    expect(await metricOf(url, 'cwm_rate_limited_total')).toBeGreaterThan(0)
  })
})

describe('SDKs', () => {
  /** `fetch` that moves the clock by the `Retry-After` of a rejection. The SDK then waits as long as it says in `retry-after-ms`. */
  function patient() {
    const seen: string[] = []
    const send: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init)
      seen.push(String(answer.status))
      if (answer.status !== 429) return answer
      pass(Number(answer.headers.get('retry-after')) * 1000)
      const headers = new Headers(answer.headers)
      headers.set('retry-after-ms', '1')
      return new Response(await answer.text(), { status: 429, headers })
    }
    return { seen, send }
  }

  it('of OpenAI wait, and succeed with their first retry', async () => {
    const url = await start({ requests_per_minute: 1 })
    const { seen, send } = patient()
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', fetch: send })
    const create = () =>
      client.chat.completions.create({ model: 'sim-model', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] })

    await create()
    pass(5_000)
    const second = await create()

    expect(second.choices).toHaveLength(1)
    expect(seen).toEqual(['200', '429', '200'])
  })

  it('of Anthropic do the same', async () => {
    const url = await start({ requests_per_minute: 1 })
    const { seen, send } = patient()
    const client = new Anthropic({ baseURL: url, apiKey: 'none', fetch: send })
    const create = () =>
      client.messages.create({ model: 'sim-model', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] })

    await create()
    pass(5_000)
    await create()

    expect(seen).toEqual(['200', '429', '200'])
  })
})

it('an engine’s own rate limits are not shown to limited clients', async () => {
  const url = await start({ requests_per_minute: 5 })
  const headers = { 'x-ratelimit-remaining-requests': '777', 'content-type': 'application/json' }
  stack?.sim.fault({ path: CHAT, times: 1, action: { kind: 'status', status: 429, body: '{}', headers } })

  const got = await askChat(url, [user('hello')])

  expect(got.rawHeaders.filter((text) => text.toLowerCase() === 'x-ratelimit-remaining-requests')).toHaveLength(1)
  expect(got.headers['x-ratelimit-remaining-requests']).toBe('4')
})
