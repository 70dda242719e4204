// What a good reverse proxy does with everything but an answer's body: status, headers, methods, encodings, sizes.

import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf, jsonOf, rawExchange } from '../support/client.ts'
import { chatAnswer, type FakeUpstream, type Received, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

type Answering = Parameters<typeof startFakeUpstream>[0]

let upstream: FakeUpstream
let cwm: Cwm
let answering: Answering
const usual: Answering = (_, response) => sayJson(response, chatAnswer('hello'))

beforeAll(async () => {
  upstream = await startFakeUpstream((request, response, incoming) => answering(request, response, incoming))
  cwm = await startCwm(upstream.url)
  answering = usual
})

afterEach(() => {
  upstream.received.length = 0
  answering = usual
})

afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

const body = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
const CHAT = '/v1/chat/completions'

function last(): Received {
  const request = upstream.received.at(-1)
  if (request === undefined) throw new Error('nothing reached the upstream')
  return request
}

describe('answers', () => {
  it.each([400, 401, 404, 422, 429, 500, 503])('keep status %i, body and Retry-After', async (status) => {
    const text = `{"error":{"message":"as the engine says","code":${status}}}`
    answering = (_, response) => {
      response.setHeader('retry-after', '7')
      sayJson(response, text, status)
    }

    const got = await ask(cwm.url, CHAT, { body })

    expect([got.status, got.headers['retry-after'], got.text]).toEqual([status, '7', text])
  })

  it('keep an unusual reason phrase and an answer that is not JSON', async () => {
    answering = (_, response) => {
      response.writeHead(418, 'Short And Stout', { 'content-type': 'text/plain' })
      response.end('no coffee')
    }

    const got = await ask(cwm.url, CHAT, { body })

    expect([got.status, got.statusText, got.text]).toEqual([418, 'Short And Stout', 'no coffee'])
  })

  it('keep repeated headers, in their order', async () => {
    answering = (_, response) => {
      response.writeHead(200, ['Set-Cookie', 'a=1', 'Content-Type', 'application/json', 'Set-Cookie', 'b=2'])
      response.end('{}')
    }

    const got = await ask(cwm.url, CHAT, { body })

    expect(got.headers['set-cookie']).toEqual(['a=1', 'b=2'])
  })

  it('lose hop-by-hop headers and those named by Connection', async () => {
    answering = (_, response) => {
      response.writeHead(200, {
        connection: 'keep-alive, x-hop',
        'x-hop': '1',
        'x-kept': '2',
        'keep-alive': 'timeout=9',
      })
      response.end('{}')
    }

    const got = await ask(cwm.url, CHAT, { body })

    expect(got.headers['x-hop']).toBeUndefined()
    expect(got.headers['x-kept']).toBe('2')
    expect(got.headers['keep-alive'] ?? '').not.toContain('timeout=9')
  })

  it('never have x-cwm-* headers of an upstream', async () => {
    answering = (_, response) => {
      response.setHeader('x-cwm-session', 'forged')
      response.setHeader('x-cwm-made-up', 'forged')
      sayJson(response, chatAnswer('hello'))
    }

    const got = await ask(cwm.url, CHAT, { body, headers: { 'x-cwm-session': 'mine' } })

    expect(got.headers['x-cwm-session']).toBe('mine')
    expect(got.headers['x-cwm-made-up']).toBeUndefined()
  })

  it('have the length of their body', async () => {
    const got = await ask(cwm.url, CHAT, { body })

    expect(got.headers['content-length']).toBe(String(Buffer.byteLength(chatAnswer('hello'))))
  })

  it("pass a redirect on, with the client's address in its Location", async () => {
    answering = (_, response) => {
      response.writeHead(307, { location: `${upstream.url}/v1/models/` })
      response.end()
    }

    const got = await ask(cwm.url, '/version')

    expect([got.status, got.headers.location]).toEqual([307, `${cwm.url}/v1/models/`])
  })

  it('keep a redirect to another host', async () => {
    answering = (_, response) => {
      response.writeHead(302, { location: 'https://elsewhere.example/x' })
      response.end()
    }

    const got = await ask(cwm.url, '/version')

    expect(got.headers.location).toBe('https://elsewhere.example/x')
  })

  it('of 30 MB pass completely', async () => {
    const text = chatAnswer('x'.repeat(30 * 1024 * 1024))
    answering = (_, response) => sayJson(response, text)

    const got = await ask(cwm.url, CHAT, { body })

    expect(got.text === text).toBe(true)
  })

  it('of hundreds of events in one byte chunk cause no warning about listeners', async () => {
    const warnings: string[] = []
    const warn = (warning: Error) => void warnings.push(warning.message)
    process.on('warning', warn)
    const event = (i: number) =>
      `data: {"id":"c","choices":[{"index":0,"delta":{"content":"${'word '.repeat(40)}${i}"},"finish_reason":null}]}\n\n`
    const events = Array.from({ length: 3000 }, (_, i) => event(i)).join('')
    const end = 'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    answering = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(events + end)
    }

    const got = await ask(cwm.url, CHAT, { body: { ...body, stream: true } })
    process.off('warning', warn)

    expect(got.text === events + end).toBe(true)
    expect(warnings).toEqual([])
  })
})

describe('requests', () => {
  it('keep their own headers and lose hop-by-hop and x-cwm-* ones', async () => {
    await ask(cwm.url, CHAT, {
      body,
      headers: {
        'X-Request-Id': 'req-1',
        'anthropic-version': '2023-06-01',
        'OpenAI-Organization': 'org',
        'x-cwm-session': 's1',
        connection: 'close, x-named',
        'x-named': 'gone',
        'proxy-authorization': 'Basic eA==',
        te: 'trailers',
      },
    })

    const { headers } = last()
    expect(headers).toMatchObject({
      'x-request-id': 'req-1',
      'anthropic-version': '2023-06-01',
      'openai-organization': 'org',
    })
    for (const name of ['x-cwm-session', 'x-named', 'proxy-authorization', 'te'])
      expect(headers).not.toHaveProperty(name)
  })

  it("have the client's X-Request-Id in their answers", async () => {
    const got = await ask(cwm.url, CHAT, { body, headers: { 'X-Request-Id': 'req-1' } })

    expect(got.headers['x-cwm-request-id']).toBe('req-1')
  })

  it("are sent with the upstream's Host", async () => {
    await ask(cwm.url, CHAT, { body })

    expect(last().headers.host).toBe(new URL(upstream.url).host)
  })

  it("are sent with the client's key, in the header in which it came", async () => {
    await ask(cwm.url, CHAT, { body, headers: { authorization: 'Bearer k-one' } })
    const bearer = last().headers
    await ask(cwm.url, '/v1/messages', { body: { ...body, max_tokens: 5 }, headers: { 'x-api-key': 'k-two' } })
    const anthropic = last().headers

    expect([bearer.authorization, bearer['x-api-key']]).toEqual(['Bearer k-one', undefined])
    expect([anthropic.authorization, anthropic['x-api-key']]).toEqual([undefined, 'k-two'])
  })

  it('keep their query', async () => {
    await ask(cwm.url, `${CHAT}?api-version=1&x=%2F`, { body })

    expect(last().target).toBe(`${CHAT}?api-version=1&x=%2F`)
  })

  it('may be chunked', async () => {
    await ask(cwm.url, CHAT, {
      body: JSON.stringify(body),
      headers: ['Host', 'localhost', 'Content-Type', 'application/json', 'Transfer-Encoding', 'chunked'],
    })

    expect(JSON.parse(last().body.toString())).toMatchObject(body)
    expect(last().headers['content-length']).toBe(String(last().body.length))
    expect(last().headers['transfer-encoding']).toBeUndefined()
  })

  it.each(['gzip', 'x-gzip'])('may be compressed with %s; the upstream gets them uncompressed', async (encoding) => {
    const packed = gzipSync(JSON.stringify(body))

    await ask(cwm.url, CHAT, {
      body: packed,
      headers: { 'content-encoding': encoding },
    })

    expect(JSON.parse(last().body.toString())).toMatchObject(body)
    expect(last().headers['content-encoding']).toBeUndefined()
  })

  it('of 20 MB pass completely', async () => {
    const content = 'ä'.repeat(10 * 1024 * 1024)

    const got = await ask(cwm.url, CHAT, { body: { ...body, messages: [{ role: 'user', content }] } })

    expect(got.status).toBe(200)
    const sent = JSON.parse(last().body.toString()) as { messages: { content: string }[] }
    expect(sent.messages[0]?.content === content).toBe(true)
  })

  it('with Expect: 100-continue get a 100, and the header is not forwarded', async () => {
    const text = JSON.stringify(body)
    const head = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`

    const answer = await rawExchange(cwm.url, head + text)

    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
    expect(last().headers.expect).toBeUndefined()
  })

  it('ask for an uncompressed answer if cwm reads it, and are unchanged on plain paths', async () => {
    await ask(cwm.url, CHAT, { body, headers: { 'accept-encoding': 'gzip' } })
    const salted = last().headers['accept-encoding']
    await ask(cwm.url, '/version', { headers: { 'accept-encoding': 'gzip' } })

    expect([salted, last().headers['accept-encoding']]).toEqual(['identity', 'gzip'])
  })

  it('on a plain path pass their body unchanged, with or without a salt', async () => {
    const text = '{ "model":"m",  "prompt":"x", "cache_salt":"theirs" }'

    await ask(cwm.url, '/tokenize', { body: text })

    expect(last().body.toString()).toBe(text)
  })

  it('HEAD has headers and no body', async () => {
    answering = (_, response) => {
      response.writeHead(200, { 'content-length': '123', 'x-kept': '1' })
      response.end()
    }

    const got = await ask(cwm.url, '/health', { method: 'HEAD' })

    expect([got.status, got.headers['content-length'], got.headers['x-kept'], got.text]).toEqual([200, '123', '1', ''])
    expect(last().method).toBe('HEAD')
  })

  it('a CORS preflight is answered by the upstream', async () => {
    answering = (_, response) => {
      response.writeHead(204, { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'x-cwm-session' })
      response.end()
    }

    const got = await ask(cwm.url, CHAT, {
      method: 'OPTIONS',
      headers: { origin: 'http://app.example', 'access-control-request-headers': 'x-cwm-session' },
    })

    expect([got.status, got.headers['access-control-allow-headers']]).toEqual([204, 'x-cwm-session'])
    expect(last().method).toBe('OPTIONS')
  })

  it("browsers may read cwm's headers if the upstream allows the origin", async () => {
    answering = (_, response) => {
      response.setHeader('access-control-allow-origin', '*')
      response.setHeader('access-control-expose-headers', 'x-theirs')
      sayJson(response, chatAnswer('hello'))
    }

    const got = await ask(cwm.url, CHAT, { body, headers: { origin: 'http://app.example' } })

    const exposed = String(got.headers['access-control-expose-headers']).split(/, */)
    expect(exposed).toEqual(expect.arrayContaining(['x-theirs', 'x-cwm-session', 'x-cwm-context', 'x-cwm-restored']))
  })

  it('may follow each other on one connection', async () => {
    const text = JSON.stringify(body)
    const one = `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n`

    const answer = await rawExchange(cwm.url, `${one}\r\n${text}${one}Connection: close\r\n\r\n${text}`)

    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
  })
})

describe('only the listed paths reach the upstream', () => {
  it.each([
    ['POST', '/reset_prefix_cache', 401],
    ['POST', '/sleep', 401],
    ['POST', '/collective_rpc', 401],
    ['GET', '/metrics', 404],
    ['POST', '/v1/load_lora_adapter', 401],
    ['POST', '/v1/audio/transcriptions', 403],
    ['GET', '/v1/realtime', 403],
    ['GET', '/v1/responses/resp_1', 404],
    ['POST', '/v1/responses/resp_1/cancel', 404],
    ['GET', '/v1/responses', 405],
    ['GET', CHAT, 405],
    ['DELETE', '/v1/models', 405],
    ['POST', '/V1/chat/completions', 404],
    ['POST', '/v1/chat%2fcompletions', 400],
    ['POST', '/v1/%63hat/completions', 400],
    ['POST', '//v1/chat/completions', 400],
    ['POST', '/v1//chat/completions', 400],
    ['POST', '/v1/./chat/completions', 400],
    ['POST', '/v1/models/../../sleep', 400],
    ['POST', '/v1\\chat\\completions', 400],
    ['POST', '/v1/chat/completions;x=1', 400],
    ['POST', '/cwm/s/a/../../sleep', 400],
    ['POST', '/cwm/s/a/sleep', 404],
    ['POST', '/cwm/w/a/metrics', 404],
    ['POST', '/cwm/s/a/cwm/s/b/v1/chat/completions', 404],
    ['POST', '/', 404],
    ['POST', '/__proto__', 404],
    ['POST', '/constructor', 404],
  ])('%s %s is rejected with %i', async (method, path, status) => {
    const text = method === 'POST' ? JSON.stringify(body) : ''
    const answer = await rawExchange(
      cwm.url,
      `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
    )

    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toMatch(/"param":"(path|method|response_id|authorization)"/)
    expect(upstream.received).toEqual([])
  })

  it.each([['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n']])(
    '%s is rejected with 400',
    async (_, bytes) => {
      expect(await rawExchange(cwm.url, bytes)).toMatch(/^HTTP\/1\.1 400 /)
      expect(upstream.received).toEqual([])
    },
  )

  it('CONNECT opens no tunnel', async () => {
    const answer = await rawExchange(cwm.url, 'CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n')

    expect(answer).not.toMatch(/ 200 /)
  })

  it('a body with both length and chunks is rejected', async () => {
    const answer = await rawExchange(
      cwm.url,
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /sleep HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    )

    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(upstream.received).toEqual([])
  })
})

describe('an answer of unexpected form', () => {
  it.each([
    '[]',
    'null',
    '{"choices":[null]}',
    '{"choices":[{"message":null,"finish_reason":"stop"}]}',
    '{"choices":[{"message":{"role":7,"content":{"a":[1]},"tool_calls":[null,{"function":3}]},"finish_reason":"stop"}]}',
    '{"choices":{"length":3},"usage":[]}',
    '{"choices":[{"message":[[]],"finish_reason":"stop"}],"usage":{"prompt_tokens":"x"}}',
    '{not json',
    '',
  ])('passes unchanged: %s', async (text) => {
    answering = (_, response) => sayJson(response, text)

    for (const path of [CHAT, '/v1/messages', '/v1/responses', '/v1/completions']) {
      const got = await ask(cwm.url, path, { body: { ...body, input: 'x', prompt: 'x', max_tokens: 3 } })
      expect([path, got.status, got.text, got.clean]).toEqual([path, 200, text, true])
    }
  })

  it.each([
    'data: null\n\ndata: []\n\ndata: {"choices":[null,{"delta":7},{"index":"x","delta":{"tool_calls":[null,{"index":-1}]}}]}\n\n',
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":{},"delta":null}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    'event: response.completed\ndata: {"type":"response.completed","response":{"output":{"a":1},"status":"completed"}}\n\n',
    ': only a comment\n\n',
    'data: [DONE]\n\n',
    'not an event at all',
  ])('passes unchanged, streamed: %j', async (text) => {
    answering = (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
      response.end(text)
    }

    for (const path of [CHAT, '/v1/messages', '/v1/responses', '/v1/completions']) {
      const asked = { ...body, input: 'x', prompt: 'x', max_tokens: 3, stream: true }
      const got = await ask(cwm.url, path, { body: asked })
      expect([path, got.status, got.text, got.clean]).toEqual([path, 200, text, true])
    }
  })
})

describe('with settings of its own', () => {
  let other: Cwm
  afterEach(() => other.close())

  it("preserve_host sends the client's Host", async () => {
    other = await startCwm(upstream.url, { preserve_host: true })

    await ask(other.url, CHAT, { body, headers: { host: 'localhost:99' } })

    expect(last().headers.host).toBe('localhost:99')
  })

  it("upstream_api_key replaces the client's, in whatever header", async () => {
    other = await startCwm(upstream.url, { upstream_api_key: 'the-engine-key' })

    await ask(other.url, '/v1/messages', { body: { ...body, max_tokens: 3 }, headers: { 'x-api-key': 'k-client' } })

    const { headers } = last()
    expect([headers.authorization, headers['x-api-key']]).toEqual(['Bearer the-engine-key', 'the-engine-key'])
    expect(JSON.stringify(last().rawHeaders)).not.toContain('k-client')
  })

  it("the operator's key never reaches the upstream, not even on plain paths", async () => {
    other = await startCwm(upstream.url, { operator_key: 'the-operator-key-0' })
    const headers = { authorization: 'Bearer the-operator-key-0' }

    const plain = await ask(other.url, '/version', { headers })
    const salted = await ask(other.url, CHAT, { body, headers })

    expect([plain.status, salted.status]).toEqual([401, 401])
    expect(errorOf(plain)).toMatchObject({ code: 'unauthorized', param: 'authorization' })
    expect(upstream.received).toEqual([])
  })

  it('two different keys are rejected on plain paths too', async () => {
    other = await startCwm(upstream.url)

    const got = await ask(other.url, '/version', { headers: { authorization: 'Bearer a', 'x-api-key': 'b' } })

    expect(errorOf(got)).toMatchObject({ code: 'invalid_header', param: 'x-api-key' })
    expect(upstream.received).toEqual([])
  })

  it('an upstream with a base path is called below it', async () => {
    other = await startCwm(`${upstream.url}/deep/v1`)

    await ask(other.url, CHAT, { body })

    expect(last().target).toBe('/deep/v1/chat/completions')
    expect(jsonOf(await ask(other.url, '/cwm/v1/health'))).toBeTruthy()
  })
})
