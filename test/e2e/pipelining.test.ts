// Several requests on one connection before the first is answered (HTTP pipelining): later responses have no socket until their turn.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { metricOf, post, sendOn } from '../support/departing-client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const CHAT = '/v1/chat/completions'
const request = (text: string): string => post(CHAT, { model: 'm', messages: [user(text)], stream: true })
const event = (content: string) =>
  `data: {"choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":null}]}\n\n`
const UNANSWERED = 'are you there?'
const DONE = 'data: [DONE]\n\n'

let upstream: FakeUpstream
let cwm: Cwm
/** Streams that the upstream has started, by the text of the request. */
let streams: Map<string, ServerResponse>

async function start(): Promise<void> {
  streams = new Map()
  upstream = await startFakeUpstream(({ body }, response) => {
    const { messages } = JSON.parse(body.toString()) as { messages: { content: string }[] }
    const asked = messages[0]?.content ?? ''
    streams.set(asked, response)
    if (asked === UNANSWERED) return
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(event('begun'))
  })
  cwm = await startCwm(upstream.url)
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const stream = (text: string): Promise<ServerResponse> => until(`the stream of "${text}"`, () => streams.get(text))

/** Keeps reading in the background. */
function readOf(socket: Socket): { text: string; readonly closed: Promise<unknown> } {
  const read = { text: '', closed: once(socket, 'close') }
  socket.on('data', (bytes) => {
    read.text += bytes.toString('latin1')
  })
  return read
}

describe('a pipelined request', () => {
  it('whose stream breaks before its turn: the client gets the received part, the error, and a broken connection', async () => {
    await start()
    const socket = await sendOn(cwm.url, request('first') + request('second'))
    const read = readOf(socket)
    const first = await stream('first')
    ;(await stream('second')).destroy()
    await until('the break is noticed', async () => (await metricOf(cwm.url, 'cwm_upstream_errors_total')) === 1)

    first.end(DONE)
    await within('cwm breaks the connection', read.closed)

    const [, one, two] = read.text.split('HTTP/1.1 200 OK')
    expect(one).toContain(`${DONE}\r\n0\r\n\r\n`)
    expect(two).toContain(event('begun'))
    expect(two).toContain('"code":"upstream_broken"')
    expect(two).not.toContain('\r\n0\r\n\r\n')
    await until('no slot in use', async () => (await metricOf(cwm.url, 'cwm_slots_in_use')) === 0)
  })

  it('followed by unparsable bytes: no second status line is written into the current response', async () => {
    await start()
    const socket = await sendOn(cwm.url, request('first') + request(UNANSWERED))
    const read = readOf(socket)
    await stream(UNANSWERED)
    await until('the first stream', () => read.text.includes('begun'))

    socket.write('this is no HTTP\r\n\r\n')
    await within('cwm breaks the connection', read.closed)

    expect(read.text.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })
})

describe('unparsable bytes after a complete response', () => {
  it('are answered with an error', async () => {
    await start()
    const socket = await sendOn(cwm.url, 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const read = readOf(socket)
    await until('the answer', () => read.text.includes('"list"'))

    socket.write('this is no HTTP\r\n\r\n')
    await within('cwm closes the connection', read.closed)

    expect(read.text).toMatch(/HTTP\/1\.1 400 .*"code":"invalid_http"/s)
  })
})
