// Answers whose bytes contradict their framing: a wrong length, a truncated chunk, no HTTP at all.

import type { Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, type Got, jsonOf } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { answer, head, type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

let upstream: RawUpstream
let cwm: Cwm
let behave: (socket: Socket) => void = () => {}

beforeAll(async () => {
  upstream = await startRawUpstream((socket) => behave(socket))
  cwm = await startCwm(upstream.url, { connections: 1 })
})

// A single connection: bytes left over from one answer would reach the next.
afterEach(async () => {
  behave = (socket) => socket.write(answer(200, '{"next":true}'))
  const next = await ask(cwm.url, '/tokenize', { body: { prompt: 'x' } })
  expect([next.status, next.text]).toEqual([200, '{"next":true}'])
})

afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

const messages = [user('hi')]
const dialects = [
  {
    path: '/v1/chat/completions',
    body: { model: 'm', messages },
    event: 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n',
    last: 'data: [DONE]\n\n',
  },
  {
    path: '/v1/completions',
    body: { model: 'm', prompt: 'hi' },
    event: 'data: {"choices":[{"index":0,"text":"a","finish_reason":null}]}\n\n',
    last: 'data: [DONE]\n\n',
  },
  {
    path: '/v1/responses',
    body: { model: 'm', input: 'hi' },
    event: 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
    last: 'event: response.completed\ndata: {"type":"response.completed","response":{}}\n\n',
  },
  {
    path: '/v1/messages',
    body: { model: 'm', max_tokens: 5, messages },
    event:
      'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n',
    last: 'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  },
] as const

const sse = 'content-type: text/event-stream'
const json = 'content-type: application/json'
const chunked = 'transfer-encoding: chunked'
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
const length = (bytes: number) => `content-length: ${bytes}`
const ends = [
  ['closed', 'end'],
  ['reset', 'resetAndDestroy'],
] as const

/** Writes, and then ends the connection. */
const say = (text: string, end?: (typeof ends)[number][1]) => (socket: Socket) =>
  void socket.write(text, 'latin1', () => {
    // A reset would discard what the other side has not read.
    if (end === 'resetAndDestroy') setTimeout(() => socket.resetAndDestroy(), 50)
    else if (end !== undefined) socket[end]()
  })

function expectBroken(got: Got, whole: string): void {
  expect([got.status, got.clean]).toEqual([200, false])
  expect(got.text.startsWith(whole)).toBe(true)
  const told = got.text.slice(whole.length)
  expect(told.match(/\n\n/g)).toHaveLength(1)
  expect(told.endsWith('\n\n')).toBe(true)
  expect(JSON.parse(told.trimEnd().split('\n').at(-1)?.replace('data: ', '') ?? '')).toHaveProperty(
    /"type":"error"/.test(told) ? 'type' : 'error',
  )
}

describe.each(dialects)('a stream of $path', ({ path, body, event, last }) => {
  const stream = () => ask(cwm.url, path, { body: { ...body, stream: true } })

  it.each(ends)('that is shorter than its content-length breaks (%s)', async (_, end) => {
    behave = say(head(200, [sse, length(2 * event.length + 10)]) + event + event, end)

    const got = await stream()

    expectBroken(got, event + event)
    expect(got.headers['content-length']).toBeUndefined()
  })

  it('that is longer than its content-length ends there, and the rest reaches no answer', async () => {
    behave = say(head(200, [sse, length(event.length)]) + event + event + last)

    const got = await stream()

    expect([got.text, got.clean]).toEqual([event, true])
  })

  it.each(ends)('that breaks off in a chunk breaks (%s)', async (_, end) => {
    behave = say(`${head(200, [sse, chunked])}${chunk(event)}ff\r\n${event.slice(0, 20)}`, end)

    expectBroken(await stream(), event)
  })

  it('with invalid chunks breaks', async () => {
    behave = say(`${head(200, [sse, chunked])}${chunk(event)}no chunk\r\n`)

    expectBroken(await stream(), event)
  })

  // HTTP/1.0 ends an answer by closing the connection; so does a crash.
  it.each(ends)('that ends with its connection breaks if its last event is missing (%s)', async (_, end) => {
    behave = say(head(200, [sse]) + event, end)

    expectBroken(await stream(), event)
  })

  it('that ends with its connection is complete with its last event', async () => {
    behave = say(head(200, [sse]) + event + last, 'end')

    const got = await stream()

    expect([got.text, got.clean]).toEqual([event + last, true])
  })

  it('that lacks the blank line after its last event is complete', async () => {
    const text = event + last.trimEnd()
    behave = say(head(200, [sse]) + text, 'end')

    const got = await stream()

    expect([got.text, got.clean]).toEqual([text, true])
  })
})

describe.each(dialects)('a JSON answer of $path', ({ path, body }) => {
  const whole = '{"id":"1","choices":[],"content":[],"output":[]}'
  const asked = () => ask(cwm.url, path, { body })

  it.each([
    ['shorter than its content-length, closed', head(200, [json, length(99)]) + whole, 'end'],
    ['shorter than its content-length, reset', head(200, [json, length(99)]) + whole, 'resetAndDestroy'],
    ['cut in a chunk, closed', `${head(200, [json, chunked])}ff\r\n${whole}`, 'end'],
    ['cut in a chunk, reset', `${head(200, [json, chunked])}ff\r\n${whole}`, 'resetAndDestroy'],
    ['cut in its headers, closed', head(200, [json, length(99)]).slice(0, 40), 'end'],
    ['cut in its headers, reset', head(200, [json, length(99)]).slice(0, 40), 'resetAndDestroy'],
    ['no HTTP', 'what?\r\n\r\n', undefined],
  ] as const)('%s: 502, in the format of the dialect', async (_, text, end) => {
    behave = say(text, end)

    const got = await asked()

    expect([got.status, got.clean]).toEqual([502, true])
    const { error } = jsonOf<{ error: { code: string; type: string } }>(got)
    expect([error.code, error.type]).toEqual([
      'upstream_broken',
      path === '/v1/messages' ? 'api_error' : 'upstream_error',
    ])
  })

  it('longer than its content-length ends there, and the rest reaches nobody', async () => {
    behave = say(head(200, [json, length(whole.length)]) + whole + answer(200, '{"smuggled":true}'))

    const got = await asked()

    expect([got.status, got.text, got.clean]).toEqual([200, whole, true])
  })
})

describe('an answer on a plain path', () => {
  it.each([
    ['shorter than its content-length, closed', head(200, [json, length(99)]), 'end'],
    ['shorter than its content-length, reset', head(200, [json, length(99)]), 'resetAndDestroy'],
    ['cut in a chunk, closed', `${head(200, [json, chunked])}ff\r\n`, 'end'],
    ['cut in a chunk, reset', `${head(200, [json, chunked])}ff\r\n`, 'resetAndDestroy'],
  ] as const)('%s: the received part, and a broken connection', async (_, text, end) => {
    behave = say(`${text}{"tokens":[`, end)

    const got = await ask(cwm.url, '/tokenize', { body: { prompt: 'x' } })

    expect([got.status, got.text, got.clean]).toEqual([200, '{"tokens":[', false])
  })

  it('longer than its content-length ends there, and the rest reaches nobody', async () => {
    behave = say(`${head(200, [json, length(2)])}{}${answer(200, '{"smuggled":true}')}`)

    const got = await ask(cwm.url, '/tokenize', { body: { prompt: 'x' } })

    expect([got.text, got.clean]).toEqual(['{}', true])
  })
})
