// Time limits of each phase of a client's connection, on real sockets: each has a setting, and none affects a client that only waits.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import Anthropic from '@anthropic-ai/sdk'
import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { ask, rawExchange } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { chatAnswer, type FakeUpstream, type Received, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const CHAT = '/v1/chat/completions'
const body = JSON.stringify({ model: 'm', messages: [user('hi')], stream: true })
const MODELS = 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n'
const head = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`

let upstream: FakeUpstream
let cwm: Cwm

async function start(
  settings: Partial<Settings>,
  behave: (request: Received, response: ServerResponse) => void = (_, response) =>
    sayJson(response, chatAnswer('done')),
) {
  upstream = await startFakeUpstream(behave)
  cwm = await startCwm(upstream.url, settings)
}

const endless = (_: Received, response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const event = `data: {"choices":[{"index":0,"delta":{"content":"${'x'.repeat(64_000)}"}}]}\n\n`
  const more = () => {
    while (!response.destroyed && response.write(event));
  }
  response.on('drain', more)
  more()
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

async function open(text: string): Promise<Socket> {
  const socket = connect(Number(new URL(cwm.url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

async function metric(name: string): Promise<number> {
  const { text } = await ask(cwm.url, '/cwm/metrics')
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(text)?.[1] ?? 0)
}

describe('a request that does not arrive', () => {
  it.each([
    ['nothing of it', { request_headers_timeout_ms: 100 }, ''],
    ['the end of its headers', { request_headers_timeout_ms: 100 }, head],
    ['the end of its body', { body_timeout_ms: 100 }, `${head}\r\n{`],
  ])('is answered 408 and closed in time: %s', async (_, settings, text) => {
    await start(settings)

    const answer = await rawExchange(cwm.url, text)

    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(answer).toContain('"code":"body_timeout"')
    expect(await metric('cwm_slots_in_use')).toBe(0)
    expect(upstream.received).toEqual([])
  })

  it.each([
    ['headers', head, `\r\n${body}`],
    ['body', `${head}\r\n{`, body.slice(1)],
  ])('may take any time if the timeout is 0: %s', async (_, begin, rest) => {
    await start({ request_headers_timeout_ms: 0, body_timeout_ms: 0 })
    const other = await startCwm(upstream.url, { request_headers_timeout_ms: 100 })
    const socket = await open(begin)

    // Waits until another client, which started later, is timed out elsewhere.
    await rawExchange(other.url, head)
    await other.close()
    socket.write(rest)

    const [answer] = (await within('an answer', once(socket, 'data'))) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('an idle connection', () => {
  it('is closed after keep_alive_ms', async () => {
    await start({ keep_alive_ms: 100 })
    const socket = await open(MODELS)
    await once(socket, 'data')

    await within('cwm closes the idle connection', once(socket, 'close'))
  })

  it('stays open if keep_alive_ms is 0, even beyond client_stall_ms', async () => {
    await start({ keep_alive_ms: 0, client_stall_ms: 100 }, endless)
    const idle = await open('')
    const used = await open(MODELS)
    await once(used, 'data')
    // Its timeout starts after theirs, and is as long.
    const stalled = await open(`${head}\r\n${body}`)
    stalled.pause()
    await until('one is cut off', async () => (await metric('cwm_stalled_clients_total')) === 1)

    for (const socket of [idle, used]) {
      socket.write(MODELS)
      const [answer] = (await within('an answer', once(socket, 'data'))) as [Buffer]
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /)
    }
  })

  it('to the upstream is closed after upstream_keep_alive_ms', async () => {
    await start({ upstream_keep_alive_ms: 100 })
    await ask(cwm.url, CHAT, { body })

    await within('cwm closes the idle connection', upstream.received[0]?.closed ?? Promise.reject(new Error('none')))
  })
})

describe('a client that does not read', () => {
  const whole = (_: Received, response: ServerResponse) => sayJson(response, chatAnswer('x'.repeat(15 * 1024 * 1024)))

  it.each([
    ['a stream', endless],
    ['an answer in one piece', whole],
  ])('is disconnected after client_stall_ms, and its slot is released: %s', async (_, behave) => {
    await start({ client_stall_ms: 200 }, behave)
    const socket = await open(`${head}\r\n${body}`)
    socket.pause()

    await until('no slot in use', async () => upstream.received[0] && (await metric('cwm_slots_in_use')) === 0)

    expect(await metric('cwm_stalled_clients_total')).toBe(1)
    expect(await metric('cwm_upstream_errors_total')).toBe(0)
    socket.destroy()
  })

  it('does not include one that waits for the engine', async () => {
    await start({ client_stall_ms: 50, keep_alive_ms: 50 }, (_, response) => {
      setTimeout(() => sayJson(response, chatAnswer('late')), 500)
    })

    expect((await ask(cwm.url, CHAT, { body })).text).toContain('late')

    expect(await metric('cwm_stalled_clients_total')).toBe(0)
  })
})

describe('headers', () => {
  const headers = (count: number) => 'x: \r\n'.repeat(count)

  it('over max_headers are 431, and none is silently dropped', async () => {
    await start({ max_headers: 2_200 })

    const many = await rawExchange(
      cwm.url,
      `${head}Connection: close\r\n${headers(2_100)}x-cwm-session: mine\r\n\r\n${body}`,
    )
    const more = await rawExchange(cwm.url, `${head}Connection: close\r\n${headers(2_200)}\r\n${body}`)

    expect(many).toMatch(/^HTTP\/1\.1 200 /)
    expect(many).toContain('x-cwm-session: mine')
    expect(more).toMatch(/^HTTP\/1\.1 431 /)
    expect(more).toContain('max_headers')
  })

  it.each([
    ['one too large', { 'x-large': 'x'.repeat(100_000) }],
    ['one too many', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x-${i}`, 'y']))],
  ])("are rejected with a message that Anthropic's SDK reads: %s", async (_, defaultHeaders) => {
    await start({})
    const client = new Anthropic({ baseURL: cwm.url, apiKey: 'k', maxRetries: 0, defaultHeaders })

    const asked = client.messages.create({ model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] })

    await expect(asked).rejects.toMatchObject({
      status: 431,
      type: 'invalid_request_error',
      error: { type: 'error', error: { code: 'headers_too_large' } },
    })
  })
})
