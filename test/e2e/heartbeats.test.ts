// Comments while a client waits for the first token: SDKs skip them, errors after status 200 are reported within the stream, and only
// streams get them.

import type { ServerResponse } from 'node:http'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { type Ask, ask, errorOf } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { recordedStream } from '../support/recorded.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const COMMENT = ': keep-alive\n\n'
const CHAT = '/v1/chat/completions'
const EVENTS = { 'content-type': 'text/event-stream' }

let upstream: FakeUpstream
let cwm: Cwm
/** Requests that the upstream has not answered yet. */
let held: ServerResponse[]

async function start(heartbeatMs = 20): Promise<void> {
  held = []
  upstream = await startFakeUpstream((_, response) => void held.push(response))
  cwm = await startCwm(upstream.url, { heartbeat_ms: heartbeatMs })
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const atUpstream = () => until('a request at the upstream', () => held.shift())

/** A client that signals when it has read this many comments, and returns its whole answer. */
async function stream(options: Ask = {}, path = CHAT) {
  const body = { model: 'm', max_tokens: 5, messages: [user('hi')], stream: true }
  let text = ''
  const onText = (more: string) => {
    text += more
  }
  const answer = ask(cwm.url, path, { body, ...options, onText })
  const comments = (count: number) => until(`${count} comments`, () => text.split(COMMENT).length > count)
  return { answer, comments, response: await atUpstream() }
}

/** Waits until another client, which started later, has received comments; so the client's SDK has too. */
async function othersHaveComments(): Promise<void> {
  const { comments, response } = await stream()
  await comments(2)
  response.destroy()
}

describe('a stream that waits for its first token', () => {
  const events = recordedStream('chat, stream with usage')

  it("gets comments before the answer starts, then the engine's bytes", async () => {
    await start()
    const { answer, comments, response } = await stream({ headers: { 'x-cwm-session': 'mine' } })

    await comments(3)
    response.writeHead(200, EVENTS).end(events)

    const { status, headers, text, clean } = await answer
    expect([status, headers['content-type'], headers['x-cwm-session'], clean]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
      'mine',
      true,
    ])
    expect(text.replaceAll(COMMENT, '')).toContain('data: [DONE]')
    expect(text.startsWith(COMMENT)).toBe(true)
  })

  it("gets them after the upstream's own headers, and none after the first byte", async () => {
    // Long enough for the upstream's headers to arrive first, even on a busy machine.
    await start(250)
    const { answer, comments, response } = await stream()
    response.writeHead(200, { ...EVENTS, 'x-engine': 'yes' }).flushHeaders()
    await comments(2)
    const [first = '', ...rest] = events.split('\n\n')
    response.write(`${first}\n\n`)

    await othersHaveComments()
    response.end(rest.join('\n\n'))

    const { headers, text } = await answer
    expect(headers['x-engine']).toBe('yes')
    expect(text.slice(text.indexOf('data:'))).not.toContain(COMMENT)
  })

  it.each([
    ['not streamed', { body: { model: 'm', messages: [user('hi')] } }],
    ['of a page of another origin', { headers: { origin: 'http://page.example' } }],
  ])('gets none before the answer starts: %s', async (_, options) => {
    await start()
    const { answer, response } = await stream(options)

    await othersHaveComments()
    sayJson(response, chatAnswer('done'), 201)

    const { status, text } = await answer
    expect([status, text]).toEqual([201, chatAnswer('done')])
  })

  it('gets none by default', async () => {
    await start(0)
    const { answer, response } = await stream()

    response.writeHead(200, EVENTS).end(events)

    expect((await answer).text).not.toContain('keep-alive')
  })
})

describe('an error after status 200 was sent', () => {
  const refusal = JSON.stringify({ error: { message: 'maximum context length is 16', type: 'BadRequestError' } })

  it.each([
    [
      'chat',
      CHAT,
      /^data: {"error":{"message":"(.*)","type":"upstream_error","param":null,"code":"upstream_rejected"}}$/,
    ],
    [
      'messages',
      '/v1/messages',
      /^event: error\ndata: {"type":"error","error":{"type":"api_error","message":"(.*)"}}$/,
    ],
  ])("is an event in the client's dialect, then a broken connection: an error answer on %s", async (_, path, form) => {
    await start()
    const { answer, comments, response } = await stream({}, path)
    await comments(1)

    sayJson(response, refusal, 400)

    const { status, text, clean } = await answer
    expect([status, clean]).toEqual([200, false])
    const said = form.exec(text.replaceAll(COMMENT, '').trim())?.[1]
    expect(said).toBe('the upstream answered 400 and no stream: maximum context length is 16')
    const metrics = await ask(cwm.url, '/cwm/metrics')
    expect(metrics.text).toMatch(/cwm_requests_total\{[^}]*status="502"[^}]*\} 1/)
    expect(metrics.text).not.toMatch(/cwm_upstream_errors_total\{/)
  })

  it('is the same for an upstream that dies', async () => {
    await start()
    const { answer, comments, response } = await stream()
    await comments(1)

    response.destroy()

    const { text, clean } = await answer
    expect(clean).toBe(false)
    expect(text).toContain('"code":"upstream_broken"')
  })

  it('is an ordinary answer if it came before the first comment', async () => {
    await start(60_000)
    const { answer, response } = await stream()

    sayJson(response, refusal, 400)

    expect((await answer).status).toBe(400)
    expect(errorOf(await answer).message).toContain('maximum context length')
  })
})

describe('SDKs skip the comments', () => {
  it("OpenAI's, on chat completions", async () => {
    await start()
    const client = new OpenAI({ baseURL: `${cwm.url}/v1`, apiKey: 'k', maxRetries: 0 })
    const asked = client.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
    })
    const response = await atUpstream()
    await othersHaveComments()
    response.writeHead(200, EVENTS).end(recordedStream('chat, stream with usage'))

    const types = new Set<string>()
    for await (const { object } of await asked) types.add(object)

    expect([...types]).toEqual(['chat.completion.chunk'])
  })

  it("OpenAI's, on responses", async () => {
    await start()
    const client = new OpenAI({ baseURL: `${cwm.url}/v1`, apiKey: 'k', maxRetries: 0 })
    const asked = client.responses.create({ model: 'm', input: 'x', stream: true })
    const response = await atUpstream()
    await othersHaveComments()
    response.writeHead(200, EVENTS).end(recordedStream('responses, stream'))

    const types: string[] = []
    for await (const { type } of await asked) types.push(type)

    expect([types[0], types.at(-1)]).toEqual(['response.created', 'response.completed'])
  })

  it("Anthropic's, also before message_start", async () => {
    await start()
    const client = new Anthropic({ baseURL: cwm.url, apiKey: 'k', maxRetries: 0 })
    const asked = client.messages.stream({ model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] })
    const response = await atUpstream()
    await othersHaveComments()
    response.writeHead(200, EVENTS).end(recordedStream('anthropic messages, stream'))

    expect((await asked.finalMessage()).role).toBe('assistant')
  })

  it('and report an error within the stream', async () => {
    await start()
    const openai = new OpenAI({ baseURL: `${cwm.url}/v1`, apiKey: 'k', maxRetries: 0 })
    const anthropic = new Anthropic({ baseURL: cwm.url, apiKey: 'k', maxRetries: 0 })
    const messages = [{ role: 'user' as const, content: 'x' }]
    const read = async (events: AsyncIterable<unknown>) => {
      for await (const _ of events);
    }
    const failed = [
      openai.chat.completions.create({ model: 'm', messages, stream: true }).then(read),
      anthropic.messages.create({ model: 'm', max_tokens: 5, messages, stream: true }).then(read),
    ].map((asked) => expect(asked).rejects.toThrow('no room'))
    const responses = [await atUpstream(), await atUpstream()]
    await othersHaveComments()

    for (const response of responses) sayJson(response, '{"error":{"message":"no room"}}', 503)

    await Promise.all(failed)
  })
})
