// Limits on requests in flight and bodies in memory, end to end: who waits, who is rejected with which error, and that a slot is released
// in whatever way a request ends.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { Settings } from '../../src/config/schema.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { chatAnswer, type FakeUpstream, type Received, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const CHAT = '/v1/chat/completions'
const MIB = 1024 * 1024

let upstream: FakeUpstream
let cwm: Cwm
/** Requests that the upstream has not answered yet, oldest first. */
let held: ServerResponse[]

async function start(settings: Partial<Settings>, behave?: (request: Received, response: ServerResponse) => void) {
  held = []
  upstream = await startFakeUpstream(behave ?? ((_, response) => void held.push(response)))
  cwm = await startCwm(upstream.url, { max_in_flight: 1, ...settings })
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const says = (content: string) => ({ model: 'm', messages: [user(content)] })
const send = (content: string, headers = {}) => ask(cwm.url, CHAT, { body: says(content), headers })

async function metric(name: string): Promise<number> {
  const { text } = await ask(cwm.url, '/cwm/metrics')
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0)
}

const waiting = (count: number) =>
  until(`${count} waiting`, async () => (await metric('cwm_requests_queued')) === count)
const free = () => until('no slot in use', async () => (await metric('cwm_slots_in_use')) === 0)

/** Answers the oldest request at the upstream. */
async function answerNext(content = 'done'): Promise<void> {
  const response = await until('a request at the upstream', () => held.shift())
  sayJson(response, chatAnswer(content))
}

/** Sends a request on its own socket, and does not read the response. */
async function open(body: string | Buffer, path = CHAT): Promise<Socket> {
  const socket = connect(Number(new URL(cwm.url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`,
  )
  socket.write(body)
  return socket
}

const asked = () => upstream.received.map(({ body }) => /(first|second|third)/.exec(body.toString())?.[0])

describe('over max_in_flight', () => {
  it('a request waits, and continues when another ends', async () => {
    await start({})
    const first = send('first')
    await until('the first is at the upstream', () => held.length === 1)
    const second = send('second')
    await waiting(1)
    expect(asked()).toEqual(['first'])

    await answerNext('one')
    await answerNext('two')

    expect((await first).text).toContain('one')
    expect((await second).text).toContain('two')
    expect(await metric('cwm_queue_seconds_count')).toBe(1)
    await free()
  })

  it('it is answered 429 with a Retry-After after queue_ms, in the format of its dialect', async () => {
    await start({ queue_ms: 50 })
    const first = send('first')
    await until('the first is at the upstream', () => held.length === 1)

    const openai = await send('second')
    const anthropic = await ask(cwm.url, '/v1/messages', { body: { ...says('second'), max_tokens: 5 } })

    expect([openai.status, anthropic.status]).toEqual([429, 429])
    expect(errorOf(openai)).toMatchObject({ code: 'overloaded', type: 'rate_limit_error', param: null })
    expect(jsonOf(anthropic)).toMatchObject({ type: 'error', error: { type: 'rate_limit_error', code: 'overloaded' } })
    for (const { headers } of [openai, anthropic]) expect(headers['retry-after']).toMatch(/^[1-4]$/)
    expect(asked()).toEqual(['first'])
    await answerNext()
    await first
  })

  it('requests without a body are answered anyway, so health checks do not wait behind work', async () => {
    await start({ queue_ms: 0 }, (request, response) => {
      if (request.method === 'GET') sayJson(response, '{}')
      else held.push(response)
    })
    const first = send('first')
    await until('the first is at the upstream', () => held.length === 1)

    expect((await ask(cwm.url, '/health')).status).toBe(200)

    await answerNext()
    await first
  })

  it('the request of a client that leaves is never sent, and the next one takes its place', async () => {
    await start({})
    const first = send('first')
    await until('the first is at the upstream', () => held.length === 1)
    const leaving = await open(JSON.stringify(says('second')))
    await waiting(1)
    const third = send('third')
    await waiting(2)

    leaving.destroy()
    await waiting(1)
    await answerNext()
    await answerNext()

    expect([(await first).status, (await third).status]).toEqual([200, 200])
    expect(asked()).toEqual(['first', 'third'])
    expect(await metric('cwm_client_gone_total')).toBe(1)
    await free()
  })

  it('the body of a request that waits counts in max_body_bytes_in_all; it is not sent if its client left meanwhile', async () => {
    await start({ max_body_bytes: 8 * MIB, max_body_bytes_in_all: 64 * MIB })
    const first = send('first')
    await until('the first is at the upstream', () => held.length === 1)
    const sockets = await Promise.all([1, 2, 3, 4].map(() => open(Buffer.alloc(7 * MIB, ' '))))
    await waiting(4)
    expect(await metric('cwm_body_bytes')).toBeGreaterThan(28 * MIB)

    for (const socket of sockets) socket.destroy()
    await waiting(0)
    await answerNext()
    await first

    await free()
    expect(await metric('cwm_body_bytes')).toBe(0)
    expect(upstream.received).toHaveLength(1)
  })
})

describe('a slot is released', () => {
  const begin = (_: Received, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n')
  }

  it('after an answer of the upstream, whatever its status', async () => {
    await start({}, (_, response) => sayJson(response, '{"error":{}}', 500))

    expect((await send('first')).status).toBe(500)

    await free()
  })

  it('after a request that cwm rejects', async () => {
    await start({})

    expect((await ask(cwm.url, CHAT, { body: '{' })).status).toBe(400)
    expect(
      (await ask(cwm.url, '/v1/chat/completions', { body: says('x'), headers: { 'x-cwm-nothing': '1' } })).status,
    ).toBe(400)

    await free()
  })

  it('after the upstream broke the connection', async () => {
    await start({}, (_, response) => void response.destroy())

    expect((await send('first')).status).toBe(502)

    await free()
  })

  it.each([
    ['before the first byte', () => {}],
    ['in mid-stream', begin],
  ])('after the client left %s', async (_, behave) => {
    await start({}, behave)
    const socket = await open(JSON.stringify({ ...says('first'), stream: true }))
    await until('the upstream has it', () => upstream.received.length === 1)

    socket.destroy()

    await free()
  })

  it('and none acquired, if the client left while sending its body', async () => {
    await start({})
    const socket = connect(Number(new URL(cwm.url).port), '127.0.0.1')
    socket.write(
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    )
    await until('its beginning has arrived', async () => (await metric('cwm_body_bytes')) === 1)
    expect(await metric('cwm_slots_in_use')).toBe(0)

    socket.destroy()

    await until('no bytes are held', async () => (await metric('cwm_body_bytes')) === 0)
  })

  it('after its session was ended', async () => {
    await start({}, begin)
    const stream = ask(cwm.url, CHAT, {
      body: { ...says('first'), stream: true },
      headers: { 'x-cwm-session': 'mine' },
    })
    await until('the upstream has it', () => upstream.received.length === 1)

    await ask(cwm.url, '/cwm/v1/sessions/mine', { method: 'DELETE' })

    expect((await stream).clean).toBe(false)
    await free()
  })

  // Node emits no close for a pipelined response that had not started.
  it('after a client left that had pipelined several requests', async () => {
    await start({ max_in_flight: 3 })
    const body = JSON.stringify(says('first'))
    const one = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const socket = connect(Number(new URL(cwm.url).port), '127.0.0.1')
    socket.write(one + one + one)
    await until('the upstream has all', () => upstream.received.length === 3)

    socket.destroy()

    await free()
    expect(await metric('cwm_client_gone_total')).toBe(3)
    for (const { closed } of upstream.received) await closed
  })
})

describe('over max_in_flight_per_tenant', () => {
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
  const tenants: NonNullable<Settings['tenants']> = [
    { id: 'busy', keys: [{ name: 'k', sha256: keyHash('busy-key') }], max_in_flight_per_tenant: 1 },
    { id: 'other', keys: [{ name: 'k', sha256: keyHash('other-key') }] },
  ]

  it('the tenant waits and is rejected, and others are not', async () => {
    await start({ tenants, max_in_flight: 10, queue_ms: 50 })
    const first = send('first', bearer('busy-key'))
    await until('the first is at the upstream', () => held.length === 1)

    const second = await send('second', bearer('busy-key'))
    const other = send('third', bearer('other-key'))
    await until('another tenant is at the upstream', () => held.length === 2)

    expect([second.status, errorOf(second).code]).toEqual([429, 'rate_limit_exceeded'])
    expect(errorOf(second).message).toContain('max_in_flight_per_tenant')
    await answerNext()
    await answerNext()
    expect([(await first).status, (await other).status]).toEqual([200, 200])
  })
})

describe('over max_body_bytes_in_all', () => {
  const bounds = { max_in_flight: 10, max_body_bytes: MIB, max_body_bytes_in_all: 2 * MIB }
  const large = 'x'.repeat(900 * 1024)

  it.each([
    ['with its length', (text: string) => ({ body: text })],
    ['packed', (text: string) => ({ body: gzipSync(text), headers: { 'content-encoding': 'gzip' } })],
  ])('a body is rejected until others are done (%s)', async (_, form) => {
    await start(bounds)
    const first = send(`first ${large}`)
    await until('the first is at the upstream', () => held.length === 1)
    const text = JSON.stringify(says(`second ${large}`))
    const { headers = {}, body } = form(text) as { headers?: Record<string, string>; body: Buffer | string }
    const second = () =>
      ask(cwm.url, CHAT, {
        body,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers },
      })

    const refused = await second()

    expect([refused.status, errorOf(refused).code]).toEqual([429, 'overloaded'])
    expect(errorOf(refused).message).toContain('max_body_bytes_in_all')
    expect(refused.headers['retry-after']).toMatch(/^[1-4]$/)
    await answerNext()
    await first
    const again = second()
    await answerNext()
    expect((await again).status).toBe(200)
    await until('no bytes are held', async () => (await metric('cwm_body_bytes')) === 0)
  })

  it('requests with the content of a window count too', async () => {
    await start(bounds)
    const first = send(`first ${large}`)
    await until('the first is at the upstream', () => held.length === 1)

    const refused = await ask(cwm.url, '/cwm/v1/windows/w', { method: 'PUT', body: { model: 'm', document: large } })

    expect([refused.status, errorOf(refused).code]).toEqual([429, 'overloaded'])
    expect(refused.headers['retry-after']).toMatch(/^[1-4]$/)
    await answerNext()
    await first
  })
})
