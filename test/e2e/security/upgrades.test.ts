// Requests for another protocol are served as HTTP/1.1, and bytes after one on its connection never reach a handler.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, rawExchange } from '../../support/client.ts'
import { user } from '../../support/conversation.ts'
import { until, within } from '../../support/deadline.ts'
import { sendOn } from '../../support/departing-client.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'
import { H2C, handshake, rawRequest } from '../../support/upgrade-request.ts'

const CHAT = '/v1/chat/completions'
const chat = (text: string, more: object = {}) => ({ model: 'm', messages: [user(text)], ...more })
const HELD = 'think about it'

let upstream: FakeUpstream
let cwm: Cwm
/** Answers that the upstream has not sent yet. */
const held: ServerResponse[] = []

beforeAll(async () => {
  upstream = await startFakeUpstream(({ body }, response) => {
    const { stream } = JSON.parse(body.toString()) as { stream?: boolean }
    if (body.includes(HELD)) held.push(response)
    else if (stream === true) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end('data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\ndata: [DONE]\n\n')
    } else sayJson(response, chatAnswer('hello'))
  })
  cwm = await startCwm(upstream.url)
})

afterEach(() => {
  upstream.received.length = 0
  for (const response of held.splice(0)) response.destroy()
})

afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

const asked = () => upstream.received.map(({ body }) => body.toString())
const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))

/** Keeps reading in the background. */
function readOf(socket: Socket): { text: string; readonly closed: Promise<unknown> } {
  const read = { text: '', closed: once(socket, 'close') }
  socket.on('data', (bytes) => {
    read.text += bytes.toString('latin1')
  })
  return read
}

/** A whole exchange on another connection. Afterwards, this process has read everything written before it. */
async function otherExchanges(): Promise<void> {
  for (let i = 0; i < 3; i++) await ask(cwm.url, '/cwm/livez')
}

/** Sends the bytes in two parts, split at each position from `first` on, each time on a new connection, and checks the answers. */
async function forEachCut(first: number, sent: string, look: (text: string, at: number) => void): Promise<void> {
  const exchange = async (at: number) => {
    const socket = await sendOn(cwm.url, sent.slice(0, at))
    socket.setNoDelay(true)
    const read = readOf(socket)
    await setImmediate()
    socket.write(sent.slice(at))
    await within(`the connection is closed, cut at ${at}`, read.closed)
    look(read.text, at)
  }
  const places = Array.from({ length: sent.length - first }, (_, i) => first + i)
  for (let i = 0; i < places.length; i += 16) await Promise.all(places.slice(i, i + 16).map(exchange))
}

describe('a request that asks for HTTP/2', () => {
  it.each(['length', 'chunked'] as const)('is served completely, its body framed by %s', async (framing) => {
    const answer = await rawExchange(cwm.url, rawRequest(CHAT, chat('x'.repeat(300)), { headers: H2C, framing }))

    expect(answer).toMatch(/^HTTP\/1\.1 200 .*Connection: close.*"hello"/is)
    expect(asked()).toEqual([expect.stringContaining('x'.repeat(300))])
    const headers = upstream.received[0]?.headers ?? {}
    for (const name of ['upgrade', 'http2-settings']) expect(headers).not.toHaveProperty(name)
    expect(headers.connection ?? '').not.toMatch(/upgrade|http2/i)
  })

  it.each(['length', 'chunked'] as const)('is served as a stream, its body framed by %s', async (framing) => {
    const answer = await rawExchange(cwm.url, rawRequest(CHAT, chat('x', { stream: true }), { headers: H2C, framing }))

    expect(answer).toMatch(/^HTTP\/1\.1 200 .*Connection: close.*data: \[DONE\]/is)
  })

  it.each(['length', 'chunked'] as const)('is served on REST, its body framed by %s', async (framing) => {
    const window = rawRequest('/cwm/v1/windows/none/clone', { name: 'other' }, { headers: H2C, framing })

    expect(await rawExchange(cwm.url, window)).toMatch(/^HTTP\/1\.1 404 .*connection: close.*"window_not_found"/is)
  })

  it.each(['length', 'chunked'] as const)('is served on MCP, its body framed by %s', async (framing) => {
    const hello = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
    }
    const headers = `${H2C}Accept: application/json, text/event-stream\r\n`

    const answer = await rawExchange(cwm.url, rawRequest('/cwm/mcp', hello, { headers, framing }))

    expect(answer).toMatch(/^HTTP\/1\.1 200 .*connection: close.*"serverInfo"/is)
  })

  it('is served wherever its bytes are split', async () => {
    const sent = rawRequest(CHAT, chat('hi'), { headers: H2C, framing: 'chunked' })

    await forEachCut(1, sent, (text, at) => expect([at, statuses(text)]).toEqual([at, [200]]))
    expect(new Set(asked().map((text) => text.replace(/"cache_salt":"[^"]*"/, ''))).size).toBe(1)
  })
})

describe('a WebSocket handshake', () => {
  it.each([
    ['/v1/responses', 'websocket'],
    ['/v1/responses', 'h2c, WebSocket'],
    ['/cwm/s/a/v1/responses', 'websocket'],
    ['/cwm/v1/sessions', 'websocket'],
    ['/cwm/mcp', 'websocket'],
  ])('for %s (%s) is told to use HTTP', async (path, offered) => {
    const answer = await rawExchange(cwm.url, `${handshake(path, offered)}\r\n`)

    expect(answer).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n/)
    expect(answer).toMatch(/\r\nupgrade: HTTP\/1\.1\r\n/i)
    expect(answer).toMatch(/\r\nconnection: upgrade, close\r\n/i)
    expect(answer).toContain('"code":"upgrade_required"')
  })

  it('for an unknown host is rejected for its host', async () => {
    const answer = await rawExchange(cwm.url, `${handshake('/v1/responses').replace('localhost', 'evil.example')}\r\n`)

    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
  })

  it.each([
    ['without a key', handshake('/v1/models').replace(/Sec-WebSocket-Key.*\r\n/, '')],
    ['for another protocol', handshake('/v1/models', 'websocketish')],
  ])('%s is not a handshake, and is served', async (_, head) => {
    expect(await rawExchange(cwm.url, `${head}\r\n`)).toMatch(/^HTTP\/1\.1 200 /)
  })
})

describe('bytes after a request for an upgrade', () => {
  const first = (text: string, headers = H2C) => rawRequest(CHAT, chat(text), { headers })
  const smuggled = rawRequest(CHAT, chat('smuggled'))

  it.each([
    ['both headers', H2C],
    ['the header in odd case, in a longer list', 'coNNection: keep-alive,\tuPGRade\r\nUPGRADE:\th2c\r\n'],
    ['both headers twice', 'Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n'],
    ['an unknown protocol', 'Connection: upgrade\r\nUpgrade: foo/2\r\n'],
    ['no Connection', 'Upgrade: h2c\r\n'],
    ['an empty Upgrade', 'Connection: upgrade\r\nUpgrade:\r\n'],
    ['an unknown expectation', `${H2C}Expect: wonders\r\n`],
    ['an expectation of 100-continue', `${H2C}Expect: 100-continue\r\n`],
  ])('are dropped: %s', async (_, headers) => {
    const socket = await sendOn(cwm.url, first(HELD, headers) + smuggled)
    const read = readOf(socket)
    await until('the upstream is asked', () => held[0])
    socket.write(smuggled + smuggled)
    await otherExchanges()
    for (const response of held) sayJson(response, chatAnswer('hello'))
    await within('the connection is closed', read.closed)

    expect(asked()).toEqual([expect.stringContaining(HELD)])
    expect(statuses(read.text).filter((status) => status !== 100)).toEqual([200])
    expect(read.text).toMatch(/connection: close/i)
  })

  it.each([
    ['a request without work', `GET /cwm/livez HTTP/1.1\r\nHost: localhost\r\n${H2C}\r\n`],
    ['a rejected one', first('x').replace('localhost', 'evil.example')],
    ['one of an unknown path', first('x').replace(CHAT, '/v1/none')],
    ['one that is told to use HTTP', `${handshake('/v1/responses')}\r\n`],
    ['one with chunks', rawRequest('/tokenize', {}, { headers: H2C, framing: 'chunked' })],
    ['one after another', `GET /cwm/livez HTTP/1.1\r\nHost: localhost\r\n\r\n${first('x')}`],
  ])('are dropped, wherever they are split: %s', async (_, head) => {
    const sent = head + smuggled
    await forEachCut(head.length, sent, () => {})
    expect(asked().filter((text) => text.includes('smuggled'))).toEqual([])
  })

  // Node drops the rest of the first read, so the second request's body is parsed as a request of its own.
  it('are dropped if framing slips: a request inside the body of another', async () => {
    const outer = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${smuggled.length}\r\n\r\n`
    const socket = await sendOn(cwm.url, first(HELD) + outer)
    const read = readOf(socket)
    await until('the upstream is asked', () => held[0])
    socket.write(smuggled)
    await otherExchanges()
    for (const response of held) sayJson(response, chatAnswer('hello'))
    await within('the connection is closed', read.closed)

    expect(asked()).toEqual([expect.stringContaining(HELD)])
    expect(statuses(read.text)).toEqual([200])
  })

  it('do not appear in the answer, if they are not HTTP', async () => {
    const socket = await sendOn(cwm.url, first(HELD))
    const read = readOf(socket)
    await until('the upstream is asked', () => held[0])
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0garbage')
    await otherExchanges()
    for (const response of held) sayJson(response, chatAnswer('hello'))
    await within('the connection is closed', read.closed)

    expect(statuses(read.text)).toEqual([200])
    expect(read.text).toContain('"hello"')
  })

  it.each([
    ['nothing', ''],
    ['garbage', 'this is no HTTP\r\n\r\n'],
    ['half a request', smuggled.slice(0, 40)],
    ['a large body', rawRequest(CHAT, chat('y'.repeat(1_000_000)))],
  ])('do not hide that the client disconnected: %s', async (_, behind) => {
    const socket = await sendOn(cwm.url, first(HELD))
    await until('the upstream is asked', () => held[0])
    socket.write(behind)
    await otherExchanges()
    socket.end()

    await within('the upstream is left too', upstream.received[0]?.closed ?? Promise.reject(new Error('not asked')))
  })

  it('break the connection if they contain more than a hundred requests', async () => {
    const socket = await sendOn(cwm.url, first(HELD))
    const read = readOf(socket)
    await until('the upstream is asked', () => held[0])
    socket.write(smuggled.repeat(200))

    await within('the connection is broken', read.closed)

    expect(read.text).toBe('')
    expect(asked()).toEqual([expect.stringContaining(HELD)])
  })
})

describe('a request that only mentions upgrades', () => {
  it('in Connection, without the header, keeps its connection', async () => {
    const one = rawRequest(CHAT, chat('one'), { headers: 'Connection: keep-alive, Upgrade\r\n' })
    const two = rawRequest(CHAT, chat('two'), { headers: 'Connection: close\r\n' })

    expect(statuses(await rawExchange(cwm.url, one + two))).toEqual([200, 200])
  })
})

describe('CONNECT', () => {
  it.each(['', 'Content-Length: 5\r\n'])('is rejected with an error (%j)', async (headers) => {
    const answer = await rawExchange(
      cwm.url,
      `CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n${headers}\r\nhello`,
    )

    expect(answer).toMatch(/^HTTP\/1\.1 405 .*\r\nallow: *\r\n.*"code":"method_not_allowed"/is)
  })

  it('after a request in progress breaks the connection', async () => {
    const socket = await sendOn(cwm.url, rawRequest(CHAT, chat(HELD)))
    const read = readOf(socket)
    await until('the upstream is asked', () => held[0])
    socket.write('CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n')

    await within('the connection is broken', read.closed)

    expect(read.text).toBe('')
  })
})
