// A client that disconnects stops the engine's work in every phase, frees its connection, and does not count as an upstream failure.

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { ask } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { metricOf, post, sendOn } from '../support/departing-client.ts'
import { chatAnswer, type FakeUpstream, type Received, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

let upstream: FakeUpstream
let cwm: Cwm

type Behaviour = Parameters<typeof startFakeUpstream>[0]

const NEXT = 'whose turn is it now?'

async function start(behave: Behaviour, settings: Partial<Settings> = {}): Promise<void> {
  upstream = await startFakeUpstream((request, response, incoming) => {
    if (request.body.includes(NEXT)) return sayJson(response, chatAnswer('yours'))
    return behave(request, response, incoming)
  })
  cwm = await startCwm(upstream.url, { connections: 1, ...settings })
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const body = { model: 'm', messages: [user('hi')] }

const open = (text: string): Promise<Socket> => sendOn(cwm.url, text)
const request = (value: object, path = CHAT): string => post(path, value)
const metric = (name: string): Promise<number> => metricOf(cwm.url, name)

const arrived = (count = 1): Promise<Received> =>
  until(`request ${count} at the upstream`, () => upstream.received[count - 1])

/**
 * Asserts that everything has ended, that the disconnects were counted as such, and that the next request succeeds on the single
 * connection.
 */
async function settled(gone = 1): Promise<void> {
  await until('no request in flight', async () => (await metric('cwm_requests_in_flight')) === 0)
  expect(await metric('cwm_client_gone_total')).toBe(gone)
  const next = await ask(cwm.url, CHAT, { body: { model: 'm', messages: [user(NEXT)] } })
  expect(next.status).toBe(200)
  expect(await metric('cwm_upstream_errors_total')).toBe(0)
  expect(await metric('cwm_upstream_retries_total')).toBe(0)
}

const hang: Behaviour = () => {}
const begin: Behaviour = (_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write('data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n')
}

describe('a client that disconnects', () => {
  it('while its body is read: nothing is sent', async () => {
    await start(hang)
    const socket = await open(request(body).slice(0, -5))
    await until('the request is in flight', async () => (await metric('cwm_requests_in_flight')) === 1)

    socket.destroy()

    await settled()
    expect(upstream.received.map(({ body }) => body.includes(NEXT))).toEqual([true])
  })

  it('while it waits for a connection: its request is never sent', async () => {
    const held: ServerResponse[] = []
    await start((_, response) => void held.push(response))
    const first = ask(cwm.url, CHAT, { body })
    await arrived()
    const socket = await open(request({ ...body, messages: [user('queued')] }))
    await until('both are in flight', async () => (await metric('cwm_requests_in_flight')) === 2)

    socket.destroy()
    await until('one is in flight', async () => (await metric('cwm_requests_in_flight')) === 1)
    const [response] = held
    if (response !== undefined) sayJson(response, chatAnswer('done'))

    expect((await first).status).toBe(200)
    await settled()
    expect(upstream.received.map(({ body }) => body.includes('queued'))).toEqual([false, false])
  })

  it.each([
    ['streamed', true],
    ['not streamed', false],
  ])("before the first byte: the upstream's connection is closed (%s)", async (_, stream) => {
    await start(hang)
    const socket = await open(request({ ...body, stream }))
    const { closed } = await arrived()

    socket.destroy()

    await within('the upstream connection closes', closed)
    await settled()
  })

  it("during the stream: the upstream's connection is closed", async () => {
    await start(begin)
    const socket = await open(request({ ...body, stream: true }))
    const { closed } = await arrived()
    await once(socket, 'data')

    socket.destroy()

    await within('the upstream connection closes', closed)
    await settled()
  })

  it("during a buffered answer: the upstream's connection is closed", async () => {
    await start((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write('{"choices":')
    })
    const socket = await open(request(body))
    const { closed } = await arrived()

    socket.destroy()

    await within('the upstream connection closes', closed)
    await settled()
  })

  it("on a plain path: the upstream's connection is closed", async () => {
    await start(hang)
    const socket = await open(request(body, '/tokenize'))
    const { closed } = await arrived()

    socket.destroy()

    await within('the upstream connection closes', closed)
    await settled()
  })

  it('on a plain path, while it sends its body: nothing is sent', async () => {
    upstream = await startFakeUpstream((_, response) => sayJson(response, chatAnswer('yours')))
    cwm = await startCwm(upstream.url, { connections: 1 })
    const asked: IncomingMessage[] = []
    upstream.onRequest((incoming) => asked.push(incoming))
    const socket = await open(request(body, '/tokenize').slice(0, -5))

    socket.destroy()

    await settled()
    expect(asked.map(({ url }) => url)).not.toContain('/tokenize')
  })

  // Most clients close() when they leave, which looks half-closed until something is written. Waiting for that would prefill for nobody.
  it("by half-closing has left: the upstream's connection is closed", async () => {
    await start(hang)
    const socket = await open(request(body))
    const { closed } = await arrived()

    socket.end()

    await within('the upstream connection closes', closed)
    await settled()
  })

  it("by an SDK's abort: the upstream's connection is closed", async () => {
    await start(begin)
    const client = new OpenAI({ baseURL: `${cwm.url}/v1`, apiKey: 'k', maxRetries: 0 })
    const stream = await client.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
    })
    const { closed } = await arrived()

    stream.controller.abort()

    await within('the upstream connection closes', closed)
    await settled()
  })

  it('a hundred times leaves no connection and no request behind', async () => {
    await start(begin, { connections: 8 })
    for (let i = 0; i < 100; i++) {
      const socket = await open(request({ ...body, stream: true }))
      if (i % 2 === 0) await once(socket, 'data')
      socket.destroy()
    }

    await until('no request in flight', async () => (await metric('cwm_requests_in_flight')) === 0)
    await within('all their connections close', Promise.all(upstream.received.map(({ closed }) => closed)))
    const next = await ask(cwm.url, CHAT, { body: { ...body, messages: [user(NEXT)] } })
    expect([next.status, await metric('cwm_upstream_errors_total')]).toEqual([200, 0])
  })
})

describe('an upstream that answers before it has read the body', () => {
  it('of a plain request: the client gets the answer', async () => {
    upstream = await startFakeUpstream(() => {})
    const early = (await import('node:http')).createServer((_, response) => {
      sayJson(response, '{"error":"too much"}', 413)
    })
    early.listen(0, '127.0.0.1')
    await once(early, 'listening')
    const address = early.address()
    cwm = await startCwm(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`)
    try {
      const got = await ask(cwm.url, '/tokenize', { body: { prompt: 'x'.repeat(5_000_000) } })

      expect([got.status, got.text]).toEqual([413, '{"error":"too much"}'])
    } finally {
      early.closeAllConnections()
      early.close()
    }
  })
})

describe('stopping cwm', () => {
  it('lets a stream finish within drain_ms', async () => {
    let finish: () => void = () => {}
    await start(
      (request, response) => {
        void begin(request, response, undefined as never)
        finish = () => response.end('data: [DONE]\n\n')
      },
      { drain_ms: 5_000 },
    )
    const answer = ask(cwm.url, CHAT, { body: { ...body, stream: true } })
    await arrived()

    const stopped = cwm.stop()
    finish()

    expect((await answer).clean).toBe(true)
    await within('cwm stops', stopped)
  })

  it('breaks requests that are not finished after drain_ms', async () => {
    await start(begin, { drain_ms: 50 })
    const answer = ask(cwm.url, CHAT, { body: { ...body, stream: true } })
    await arrived()

    await within('cwm stops', cwm.stop())

    expect((await answer).clean).toBe(false)
  })
})
