// Upstream failures are visible: a truncated answer never looks complete, and a broken turn is never recorded.

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { settingsSchema } from '../../src/config/schema.ts'
import type { FaultAction } from '../../src/sim/index.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { askChat, assistant, chat, user } from '../support/conversation.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { type Stack, startCwm, startStack } from '../support/stack.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack({ settings: { stream_timeout_ms: 300, headers_timeout_ms: 300 } })
})

afterEach(() => {
  stack.sim.clearFaults()
})

afterAll(() => stack.close())

const CHAT = '/v1/chat/completions'
const model = 'sim-model'
const messages = [user('The mill is red. The barn is green. What colour is the mill?')]
const bodies = {
  [CHAT]: { model, messages, stream: true },
  '/v1/completions': { model, prompt: 'Once upon', max_tokens: 12, stream: true },
  '/v1/responses': { model, input: 'What colour is the mill?', stream: true },
  '/v1/messages': { model, messages, max_tokens: 30, stream: true },
} as const
type Path = keyof typeof bodies
const paths = Object.keys(bodies) as Path[]

const breaks: readonly FaultAction[] = [
  { kind: 'die-after-headers' },
  { kind: 'die-after-events', events: 1 },
  { kind: 'die-after-events', events: 3 },
  { kind: 'die-in-event', events: 0 },
  { kind: 'die-in-event', events: 2 },
  { kind: 'stall', events: 2 },
]
const cases: readonly { readonly path: Path; readonly action: FaultAction }[] = paths.flatMap((path) =>
  breaks.map((action) => ({ path, action })),
)

describe('a stream that breaks', () => {
  it.each(cases)(
    '$path, $action: whole events, then an error event, then a broken connection',
    async ({ path, action }) => {
      const whole = await ask(stack.url, path, { body: bodies[path] })
      stack.sim.fault({ path, action })

      const got = await ask(stack.url, path, { body: bodies[path] })

      expect([got.status, got.clean]).toEqual([200, false])
      expect(got.text.endsWith('\n\n')).toBe(true)
      const events = got.text.split('\n\n').slice(0, -1)
      const last = events.at(-1) ?? ''
      expect(last).toContain('"error"')
      expect(last.split('\n').at(-1)).toMatch(/^data: \{.*\}$/)
      expect(got.text).not.toContain('[DONE]')
      expect(got.text).not.toMatch(/message_stop|response\.completed|"finish_reason":"/)
      // Everything before the break has arrived: as many events as were sent.
      const wanted = 'events' in action ? (action.events ?? 0) : 0
      expect(events.length - 1).toBe(wanted)
      expect(whole.text.split('\n\n').length).toBeGreaterThan(wanted)
    },
  )

  it('right after its finish event does not look complete', async () => {
    // With usage requested by cwm, the finish event waits for the usage event. The upstream dies between the two.
    const all = await ask(stack.sim.engineUrl, CHAT, {
      body: { ...bodies[CHAT], stream_options: { include_usage: true } },
    })
    const finish = all.text.split('\n\n').findIndex((event) => /"finish_reason":"/.test(event))
    stack.sim.fault({ path: CHAT, action: { kind: 'die-after-events', events: finish + 1 } })

    const got = await ask(stack.url, CHAT, { body: bodies[CHAT] })

    expect(got.clean).toBe(false)
    expect(got.text).toContain('"finish_reason":"stop"')
    expect(got.text.trimEnd().split('\n\n').at(-1)).toContain('"error"')
    expect(got.text).not.toContain('[DONE]')
  })
})

describe('the SDKs throw', () => {
  const openai = () => new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: 'k', maxRetries: 0 })
  const anthropic = () => new Anthropic({ baseURL: stack.url, apiKey: 'k', maxRetries: 0 })
  const chatText = async () => {
    let text = ''
    const stream = await openai().chat.completions.create({
      model,
      messages: [{ role: 'user', content: 'Hello' }],
      stream: true,
    })
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    return text
  }
  const messageText = async () => {
    let text = ''
    const stream = await anthropic().messages.create({
      model,
      max_tokens: 20,
      messages: [{ role: 'user', content: 'Hello' }],
      stream: true,
    })
    for await (const event of stream)
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text
    return text
  }
  const responseText = async () => {
    let text = ''
    const stream = await openai().responses.create({ model, input: 'Hello', stream: true })
    for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta
    return text
  }

  it.each([
    ['openai, chat', CHAT, chatText],
    ['openai, responses', '/v1/responses', responseText],
    ['anthropic', '/v1/messages', messageText],
  ])('%s: for a stream that breaks, and not for a complete one', async (_, path, text) => {
    await expect(text()).resolves.toMatch(/\w+/)
    // A stall ends in the same way and takes a second.
    for (const action of breaks.filter(({ kind }) => kind !== 'stall')) {
      stack.sim.fault({ path, action })
      await expect(text(), JSON.stringify(action)).rejects.toThrow(/upstream|broke|stopped|terminated/)
    }
  })

  it('for a stopped upstream, with status and code', async () => {
    await stack.sim.setOnline('engine', false)
    try {
      await expect(chatText()).rejects.toMatchObject({ status: 502, code: 'upstream_refused' })
      await expect(messageText()).rejects.toMatchObject({ status: 502, error: { error: { type: 'api_error' } } })
    } finally {
      await stack.sim.setOnline('engine', true)
    }
  })
})

describe('before headers', () => {
  it.each(['chat', 'messages'])('a refused connection is 502 with its reason (%s)', async (dialect) => {
    await stack.sim.setOnline('engine', false)
    try {
      const path = dialect === 'chat' ? CHAT : '/v1/messages'
      const got = await ask(stack.url, path, { body: bodies[path] })

      expect(got.status).toBe(502)
      expect(got.text).toContain('ECONNREFUSED')
      expect(got.text).toContain(stack.sim.engineUrl)
    } finally {
      await stack.sim.setOnline('engine', true)
    }
  })

  it.each(['/v1/models', '/tokenize'])('the same on a plain path, with and without a body: %s', async (path) => {
    await stack.sim.setOnline('engine', false)
    try {
      const got = await ask(stack.url, path, path === '/tokenize' ? { body: { prompt: 'x'.repeat(300_000) } } : {})

      expect([got.status, errorOf(got).code]).toEqual([502, 'upstream_refused'])
    } finally {
      await stack.sim.setOnline('engine', true)
    }
  })

  it.each([
    ['streamed', true],
    ['not streamed', false],
  ])('an upstream that dies is 502 (%s)', async (_, stream) => {
    stack.sim.fault({ path: CHAT, action: { kind: 'die-before-headers' } })

    const got = await askChat(stack.url, messages, { body: { stream } })

    expect([got.status, errorOf(got).code]).toEqual([502, 'upstream_broken'])
  })

  it('a request that was sent is not sent again', async () => {
    stack.sim.requests.clear()
    stack.sim.fault({ path: CHAT, action: { kind: 'die-before-headers' } })

    await askChat(stack.url, messages)

    expect(stack.sim.requests.all('engine').filter((entry) => entry.path === CHAT)).toHaveLength(1)
  })

  it('an upstream that does not answer is 504 after headers_timeout_ms', async () => {
    stack.sim.fault({ path: CHAT, action: { kind: 'stall' } })

    const got = await askChat(stack.url, messages)

    expect([got.status, errorOf(got).code]).toEqual([504, 'upstream_timeout'])
    expect(errorOf(got).message).toContain('headers_timeout_ms')
  })

  it('a late first byte is not a failure', async () => {
    stack.sim.fault({ path: CHAT, action: { kind: 'delay', ms: 200 } })

    expect((await askChat(stack.url, messages)).status).toBe(200)
  })

  // undici's default timeouts are 300 s, before headers and between bytes.
  it('by default, the first byte may take half an hour, and a stream may pause indefinitely', () => {
    const defaults = settingsSchema.parse({ upstream: 'http://127.0.0.1:8000' })

    expect([defaults.headers_timeout_ms, defaults.stream_timeout_ms]).toEqual([1_800_000, 0])
  })
})

describe('an unstreamed answer', () => {
  it.each([
    { kind: 'wrong-length' },
    { kind: 'die-after-headers' },
    { kind: 'die-in-event', events: 0 },
    { kind: 'stall', events: 0 },
  ] as const)('that breaks is an error, not a truncated answer: %j', async (action) => {
    stack.sim.fault({ path: CHAT, action })

    const got = await askChat(stack.url, messages)

    expect([502, 504]).toContain(got.status)
    expect(errorOf(got).type).toBe('upstream_error')
  })

  it('on a plain path breaks the connection', async () => {
    stack.sim.fault({ path: '/tokenize', action: { kind: 'wrong-length' } })

    const got = await ask(stack.url, '/tokenize', { body: { model, prompt: 'x' } })

    expect([got.status, got.clean]).toEqual([200, false])
  })

  it('too large to buffer breaks in the middle', async () => {
    const upstream = await startFakeUpstream((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 9_000_000 })
      response.write(Buffer.alloc(3_000_000, ' '), () => response.destroy())
    })
    const cwm = await startCwm(upstream.url, { max_held_bytes: 1_000_000 })
    try {
      const got = await ask(cwm.url, CHAT, { body: { model, messages } })

      expect(got.clean).toBe(false)
    } finally {
      await cwm.close()
      await upstream.close()
    }
  })
})

describe('a stream truncated by an upstream that closes its connection after each answer', () => {
  // uvicorn sends `connection: close` while it shuts down, and so do proxies that speak HTTP/1.0 to clients.
  it('does not end cleanly', async () => {
    const upstream = await startFakeUpstream((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' })
      response.write('data: {"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}]}\n\n', () => {
        response.socket?.end()
      })
    })
    const cwm = await startCwm(upstream.url)
    try {
      const got = await ask(cwm.url, CHAT, { body: { model, messages, stream: true } })

      expect(got.clean).toBe(false)
      expect(got.text).toContain('"error"')
    } finally {
      await cwm.close()
      await upstream.close()
    }
  })
})

describe('a broken turn', () => {
  it('leaves no boundary: its history starts a new session', async () => {
    const words = [user('The heron stands on the pier. Where does the heron stand?')]
    const whole = await chat(stack.sim.engineUrl, words)
    stack.sim.fault({ path: CHAT, action: { kind: 'die-after-events', events: 4 } })
    const broken = await askChat(stack.url, words, { body: { stream: true } })

    const next = await chat(stack.url, [...words, whole.reply, user('And now?')])

    expect(broken.clean).toBe(false)
    expect(next.session).not.toBe(broken.headers['x-cwm-session'])
  })

  it.each([
    ['dies during the stream', { kind: 'die-after-events', events: 3 }, true],
    ['dies before headers', { kind: 'die-before-headers' }, false],
    ['answers 500', { kind: 'status', status: 500 }, false],
    ['answers 400', { kind: 'status', status: 400 }, false],
  ] as const)('freezes nothing and releases the name if the upstream %s', async (_, action, stream) => {
    const name = `broken-${action.kind}-${'status' in action ? action.status : ''}`
    stack.sim.fault({ path: CHAT, action })

    const got = await askChat(stack.url, messages, { body: { stream }, headers: { 'x-cwm-freeze': name } })
    const shown = await ask(stack.url, `/cwm/v1/windows/${name}?wait_ms=2000`)

    if (!stream) expect(got.headers['x-cwm-freeze']).toBeUndefined()
    expect(shown.status).toBe(404)
    const again = await askChat(stack.url, messages, { headers: { 'x-cwm-freeze': name } })
    expect(again.status).toBe(200)
  })

  it('does not count as a turn of its session', async () => {
    const headers = { 'x-cwm-session': 'counted' }
    await askChat(stack.url, [user('one')], { headers })
    stack.sim.fault({ path: CHAT, action: { kind: 'die-after-events', events: 3 } })
    await askChat(stack.url, [user('two')], { headers, body: { stream: true } })

    const shown = await ask(stack.url, '/cwm/v1/sessions/counted')

    expect(jsonOf(shown).turns).toBe(1)
  })

  it('is counted under its code', async () => {
    stack.sim.fault({ path: CHAT, action: { kind: 'die-before-headers' } })
    await askChat(stack.url, [user('one'), assistant('two'), user('three')])

    const metrics = await ask(stack.url, '/cwm/metrics')

    expect(metrics.text).toMatch(/cwm_upstream_errors_total\{code="upstream_broken"\} [1-9]/)
  })
})
