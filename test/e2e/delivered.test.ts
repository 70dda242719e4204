// A turn is delivered once the client has the end of the answer as its dialect defines it, even if the connection is cut afterwards.

import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, jsonOf } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

let upstream: FakeUpstream
let cwm: Cwm

const delta = (value: object, finish: string | null) =>
  `data: {"id":"c","choices":[{"index":0,"delta":${JSON.stringify(value)},"finish_reason":${JSON.stringify(finish)}}]}\n\n`
const words = delta({ role: 'assistant', content: 'hello' }, null) + delta({}, 'stop')
const usage = 'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'

beforeEach(async () => {
  upstream = await startFakeUpstream((request, response) => {
    if (!request.body.includes('"stream":true')) return sayJson(response, chatAnswer('hello'))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    // The last chunk of the transfer coding is never sent.
    response.write(`${words}${usage}data: [DONE]\n\n`)
  })
  cwm = await startCwm(upstream.url)
})

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

/** Reads until `mark` has arrived, then closes the connection. */
async function readUntil(mark: string, headers = ''): Promise<string> {
  const text = JSON.stringify({ model: 'm', messages: [user('hi')], stream: true })
  const socket = connect(Number(new URL(cwm.url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n${headers}Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  )
  let read = ''
  socket.on('data', (chunk) => {
    read += chunk.toString()
    if (read.includes(mark)) socket.destroy()
  })
  await within(`the client has read ${mark}`, once(socket, 'close'))
  return /x-cwm-session: (\S+)/i.exec(read)?.[1] ?? ''
}

const history = [user('hi'), { role: 'assistant', content: 'hello' }, user('go on')]

describe('a client that closes its connection', () => {
  // Many clients stop reading at [DONE], before the last chunk of the transfer coding arrives.
  it('at [DONE] has its answer: the turn becomes history, and is frozen', async () => {
    const session = await readUntil('[DONE]', 'x-cwm-freeze: w\r\n')

    const window = await until('the window shows', async () => {
      const got = await ask(cwm.url, '/cwm/v1/windows/w?wait_ms=1000')
      return got.status === 200 ? jsonOf(got) : undefined
    })
    const next = await ask(cwm.url, '/v1/chat/completions', { body: { model: 'm', messages: history } })

    expect(window).toMatchObject({ name: 'w', session_id: session })
    expect(next.headers['x-cwm-session']).toBe(session)
  })

  it('before the end does not have it: the turn is not recorded, and not frozen', async () => {
    await cwm.close()
    await upstream.close()
    upstream = await startFakeUpstream((request, response) => {
      if (!request.body.includes('"stream":true')) return sayJson(response, chatAnswer('hello'))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(delta({ role: 'assistant', content: 'hello' }, null))
    })
    cwm = await startCwm(upstream.url)
    const session = await readUntil('hello', 'x-cwm-freeze: w\r\n')

    const next = await ask(cwm.url, '/v1/chat/completions', {
      body: { model: 'm', messages: history },
      headers: { 'x-cwm-freeze': 'w' },
    })

    expect(next.status).toBe(200)
    expect(next.headers['x-cwm-session']).not.toBe(session)
  })
})

describe('an answer whose text mentions events', () => {
  it.each(['event: response.completed', 'event: message_stop', 'data: [DONE]', '\n\ndata: [DONE]\n\n'])(
    'does not end early: %j',
    async (text) => {
      await cwm.close()
      await upstream.close()
      upstream = await startFakeUpstream((request, response) => {
        if (!request.body.includes('"stream":true')) return sayJson(response, chatAnswer('hello'))
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(
          `data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":${JSON.stringify(text)}}}]}\n\n`,
          () => {
            setImmediate(() =>
              response.end(`${delta({ content: ' and more' }, null)}${delta({}, 'stop')}data: [DONE]\n\n`),
            )
          },
        )
      })
      cwm = await startCwm(upstream.url)
      const first = await ask(cwm.url, '/v1/chat/completions', {
        body: { model: 'm', messages: [user('hi')], stream: true },
      })
      const reply = { role: 'assistant', content: `${text} and more` }

      const next = await ask(cwm.url, '/v1/chat/completions', {
        body: { model: 'm', messages: [user('hi'), reply, user('go on')] },
      })

      expect(next.headers['x-cwm-session']).toBe(first.headers['x-cwm-session'])
    },
  )
})
