// Request targets: absolute form, missing host, almost correct paths, wrong methods.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, errorOf, rawExchange } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const CHAT = '/v1/chat/completions'
const text = JSON.stringify({ model: 'm', messages: [user('hi')] })

let upstream: FakeUpstream
let cwm: Cwm

beforeAll(async () => {
  upstream = await startFakeUpstream((_, response) => sayJson(response, chatAnswer('hello')))
  cwm = await startCwm(upstream.url)
})

afterEach(() => {
  upstream.received.length = 0
})

afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

/** A complete request on its own connection; `head`: request line and headers. */
function send(head: string, body = ''): Promise<string> {
  const length = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  return rawExchange(cwm.url, `${head}\r\n${length}Connection: close\r\n\r\n${body}`)
}

describe('an absolute target', () => {
  it.each([
    [`http://localhost${CHAT}`, CHAT],
    [`HTTP://LocalHost:1234${CHAT}?a=1`, `${CHAT}?a=1`],
    [`http://127.0.0.1:8000/cwm/s/a${CHAT}`, CHAT],
    [`http://[::1]:8000${CHAT}/`, CHAT],
  ])('is parsed: %s', async (target, path) => {
    expect(await send(`POST ${target} HTTP/1.1\r\nHost: localhost`, text)).toMatch(/^HTTP\/1\.1 200 /)
    expect(upstream.received.map((request) => request.target)).toEqual([path])
  })

  it.each(['http://localhost/cwm/livez', 'http://localhost:99/cwm/v1/windows?limit=1'])(
    'reaches cwm’s own paths: %s',
    async (target) => {
      expect(await send(`GET ${target} HTTP/1.1\r\nHost: localhost`)).toMatch(/^HTTP\/1\.1 200 /)
    },
  )

  it('overrides the Host header, for the engine too', async () => {
    expect(await send(`POST http://localhost:7${CHAT} HTTP/1.1\r\nHost: evil.example`, text)).toMatch(/ 200 /)
    expect(upstream.received[0]?.headers['x-forwarded-host']).toBe('localhost:7')
  })

  it.each([
    ['another host', 'http://evil.example/v1/models', 403, 'forbidden_host'],
    ['another host, for cwm’s own', 'http://evil.example/cwm/v1/windows', 403, 'forbidden_host'],
    ['https, which cannot be here', 'https://localhost/v1/models', 421, 'misdirected_request'],
    ['another scheme', 'ftp://localhost/v1/models', 421, 'misdirected_request'],
    ['a user', 'http://me@localhost/v1/models', 400, 'invalid_path'],
    ['no host', 'http:///v1/models', 400, 'invalid'],
    ['an odd path', 'http://localhost//v1/models', 400, 'invalid_path'],
    ['another target within', 'http://localhost/http://localhost/v1/models', 400, 'invalid_path'],
    ['no path', 'http://localhost?x=/v1/models', 404, 'unknown_path'],
  ])('with %s is rejected', async (_, target, status, code) => {
    const answer = await send(`GET ${target} HTTP/1.1\r\nHost: localhost`)

    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*"code":"${code}`, 's'))
    expect(upstream.received).toEqual([])
  })

  it('requires a Host header in HTTP/1.1', async () => {
    expect(await send('GET http://localhost/v1/models HTTP/1.1')).toMatch(/^HTTP\/1\.1 400 .*"param":"host"/s)
  })
})

describe('two Host headers', () => {
  it.each([
    ['the foreign one last', 'localhost', 'evil.example'],
    ['the foreign one first', 'evil.example', 'localhost'],
    ['both alike', 'localhost', 'localhost'],
  ])('are rejected, whichever would count: %s', async (_, first, second) => {
    const got = await send(`POST ${CHAT} HTTP/1.1\r\nHost: ${first}\r\nhOST: ${second}`, text)

    expect(got).toMatch(/^HTTP\/1\.1 400 /)
    expect(got).toContain('"invalid_http"')
    expect(upstream.received).toEqual([])
  })

  it('are rejected with an absolute target and in HTTP/1.0 too', async () => {
    const hosts = 'Host: localhost\r\nHost: localhost'
    for (const line of [`POST http://localhost${CHAT} HTTP/1.1`, `POST ${CHAT} HTTP/1.0`]) {
      expect(await send(`${line}\r\n${hosts}`, text)).toMatch(/^HTTP\/1\.1 400 /)
    }
    expect(upstream.received).toEqual([])
  })
})

describe('HTTP/1.0 without a Host header', () => {
  it.each(['/v1/models', '/cwm/livez', '/cwm/v1/windows', 'http://localhost/v1/models'])(
    'is served: %s',
    async (path) => {
      expect(await send(`GET ${path} HTTP/1.0`)).toMatch(/^HTTP\/1\.[01] 200 /)
    },
  )

  it('is served for a turn', async () => {
    expect(await send(`POST ${CHAT} HTTP/1.0`, text)).toMatch(/^HTTP\/1\.[01] 200 /)
  })

  it.each(['GET /v1/models HTTP/1.0\r\nHost: evil.example', 'GET http://evil.example/v1/models HTTP/1.0'])(
    'is not served for another name: %j',
    async (head) => {
      expect(await send(head)).toMatch(/^HTTP\/1\.[01] 403 /)
    },
  )
})

describe('an almost correct path', () => {
  it.each([
    ['POST', '/chat/completions', '/v1/chat/completions'],
    ['POST', '/v1/v1/chat/completions', '/v1/chat/completions'],
    ['GET', '/cwm/windows', '/cwm/v1/windows'],
    ['GET', '/cwm/v1/windows/', '/cwm/v1/windows'],
  ])('is answered with the correct one: %s %s', async (method, path, right) => {
    const got = await ask(cwm.url, path, method === 'POST' ? { body: text } : {})

    expect(got.status).toBe(404)
    expect(errorOf(got)).toMatchObject({ code: 'unknown_path', param: 'path' })
    expect(errorOf(got).message).toContain(`did you mean ${right}?`)
  })

  it('is served if it only has an extra slash', async () => {
    expect((await ask(cwm.url, '/v1/models/')).status).toBe(200)
    expect((await ask(cwm.url, `${CHAT}/`, { body: text })).status).toBe(200)
    expect(upstream.received.map(({ target }) => target)).toEqual([CHAT])
  })

  it('keeps the connection if no body is left to read', async () => {
    const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`

    const answer = await rawExchange(
      cwm.url,
      get('/models') + get('/v1/messages') + get('/v1/models', 'Connection: close\r\n'),
    )

    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['404', '405', '200'])
  })
})

describe('405', () => {
  it.each([
    ['GET', CHAT, 'POST, OPTIONS'],
    ['DELETE', '/v1/models', 'GET, HEAD, OPTIONS'],
    ['PUT', '/v1/responses/resp_1/cancel', 'POST, OPTIONS'],
    ['DELETE', '/cwm/v1/windows', /GET/],
    ['GET', '/cwm/mcp', /POST/],
    ['PATCH', '/cwm/ui/login', /POST/],
  ])('lists what is allowed: %s %s', async (method, path, allow) => {
    const got = await ask(cwm.url, path, { method })

    expect(got.status).toBe(405)
    expect(got.headers.allow).toEqual(allow instanceof RegExp ? expect.stringMatching(allow) : allow)
  })
})
