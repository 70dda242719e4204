import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HttpResponse, http, passthrough } from 'msw'
import { setupServer } from 'msw/node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { replay } from '../../../test/contracts/kv/recorded.ts'
import { CwmError } from '../../base/errors.ts'
import { type Call, Endpoint, parseBaseUrl, urlOfHost } from './http.ts'

const server = setupServer()
beforeAll(() => server.listen({ onUnhandledRequest: 'error' }))
afterEach(() => server.resetHandlers())
afterAll(() => server.close())

const secret = 'salt-that-must-not-show'
const schema = z.looseObject({ requested: z.number() })
const endpoint = (timeoutMs = 5_000, url = 'http://lmcache.test/base') => new Endpoint(url, timeoutMs)
const post = (more: Partial<Call<unknown>> = {}): Call<unknown> => ({
  method: 'POST',
  path: '/cache/pins',
  query: { cache_salt: secret },
  body: JSON.stringify({ cache_salt: secret }),
  schema,
  ...more,
})

async function failureOf(answer: Promise<unknown>): Promise<CwmError> {
  const thrown = await answer.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof CwmError)) throw new Error(`expected a CwmError, got ${String(thrown)}`)
  const printed = [thrown.message, thrown.stack, JSON.stringify(thrown), String(thrown.cause)].join()
  expect(printed).not.toContain(secret)
  return thrown
}

describe('Endpoint.call', () => {
  it('sends JSON below the base path and keeps unknown keys of the answer', async () => {
    server.use(
      http.post('http://lmcache.test/base/cache/pins', async ({ request }) => {
        expect(request.headers.get('content-type')).toBe('application/json')
        expect(await request.json()).toEqual({ cache_salt: secret })
        return replay('pin')
      }),
    )

    expect(await endpoint().call(post())).toEqual({ requested: 4, affected: 4, status: 'pinned' })
  })

  // Recorded: LMCache's 400 quotes the rejected salt.
  it('keeps the body of an error answer out of the error', async () => {
    server.use(
      http.post('*/cache/pins', () =>
        replay('pin, bad salt', { detail: `cache_salt must not contain @ (got ${secret})` }),
      ),
    )

    const error = await failureOf(endpoint().call(post()))

    expect(error.code).toBe('LMCACHE_BAD_ANSWER')
    expect(error.message).toBe('LMCache POST http://lmcache.test/base/cache/pins answered 400')
  })

  it.each([
    ['text', new TextEncoder().encode(`oops ${secret}`), 'answered 200 with a body that is not JSON'],
    ['a cut answer', new TextEncoder().encode(`{"cache_salt":"${secret}`), 'answered 200 with a body that is not JSON'],
    [
      'another shape',
      new TextEncoder().encode(`{"requested":"${secret}"}`),
      'answered an unknown shape (invalid_type at requested)',
    ],
  ])('rejects %s as a bad answer without quoting it', async (_, body, words) => {
    server.use(http.post('*/cache/pins', () => new HttpResponse(body)))

    const error = await failureOf(endpoint().call(post()))

    expect(error.code).toBe('LMCACHE_BAD_ANSWER')
    expect(error.message).toContain(words)
  })

  it('does not follow a redirect, which would send salts elsewhere', async () => {
    server.use(
      http.post(
        '*/cache/pins',
        () => new HttpResponse(null, { status: 307, headers: { location: 'http://elsewhere.test/' } }),
      ),
    )

    const error = await failureOf(endpoint().call(post()))

    expect(error.message).toContain('answered 307')
  })

  it('stops reading an answer over 64 MiB and cancels the rest', async () => {
    let cancelled = false
    const mebibyte = new Uint8Array(1024 * 1024).fill(0x20)
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(mebibyte),
      cancel: () => {
        cancelled = true
      },
    })
    const endlessly = new Endpoint('http://lmcache.test', 5_000, async () => new Response(endless))

    const error = await failureOf(endlessly.call(post()))

    expect(error.code).toBe('LMCACHE_BAD_ANSWER')
    expect(error.message).toContain('more than 67108864 bytes')
    expect(cancelled).toBe(true)
  })

  it('cancels the body of an error answer', async () => {
    let cancelled = false
    const body = new ReadableStream<Uint8Array>({
      cancel: () => {
        cancelled = true
      },
    })
    const refusing = new Endpoint('http://lmcache.test', 5_000, async () => new Response(body, { status: 500 }))

    await failureOf(refusing.call(post()))

    expect(cancelled).toBe(true)
  })

  it('reports a refused connection, with the URL and what to check', async () => {
    const url = await closedPort()
    server.use(http.post(`${url}/*`, () => passthrough()))

    const error = await failureOf(endpoint(5_000, url).call(post()))

    expect(error.code).toBe('LMCACHE_UNREACHABLE')
    expect(error.message).toBe(
      `LMCache at ${url} refused the connection (POST /cache/pins): check that it is running, and that cwm can reach this address`,
    )
  })

  it('names a port that fetch blocks', async () => {
    const url = 'http://127.0.0.1:6666'
    server.use(http.post(`${url}/*`, () => passthrough()))

    const error = await failureOf(endpoint(5_000, url).call(post()))

    expect(error.message).toContain('is at a port that fetch blocks')
  })

  it('times out on a server that accepts but never answers, or never finishes its body', async () => {
    const silent = createServer((_, response) => response.writeHead(200).write('{'))
    const url = await listen(silent)
    server.use(http.post(`${url}/*`, () => passthrough()))

    const error = await failureOf(endpoint(50, url).call(post()))

    expect(error.code).toBe('LMCACHE_UNREACHABLE')
    expect(error.message).toContain('did not answer within 50 ms')
    silent.closeAllConnections()
    silent.close()
  })

  it('reports a truncated answer as unreachable', async () => {
    const broken = createServer((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy())
    })
    const url = await listen(broken)
    server.use(http.post(`${url}/*`, () => passthrough()))

    const error = await failureOf(endpoint(5_000, url).call(post()))

    expect(error.code).toBe('LMCACHE_UNREACHABLE')
    broken.close()
  })

  it("rejects with the caller's own reason on abort, before and during the call", async () => {
    const controller = new AbortController()
    const reason = new CwmError('CLIENT_GONE', 'gone')
    server.use(
      http.post('*/cache/pins', () => {
        controller.abort(reason)
        return new Promise<never>(() => undefined)
      }),
    )

    await expect(endpoint().call(post({ signal: controller.signal }))).rejects.toBe(reason)
    await expect(endpoint().call(post({ signal: controller.signal }))).rejects.toBe(reason)
  })
})

describe('parseBaseUrl', () => {
  it.each([
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['http://127.0.0.1:8080///', 'http://127.0.0.1:8080'],
    ['https://Gate.example/lmcache/a/', 'https://gate.example/lmcache/a'],
    ['http://[::1]:9300/', 'http://[::1]:9300'],
  ])('reads %s', (text, expected) => expect(parseBaseUrl(text, 'lmcacheUrl')).toBe(expected))

  it.each(['', 'localhost:8080', 'tcp://h:1', 'http://', 'http://u:hunter2@h', 'http://h?token=hunter2', 'http://h#x'])(
    'rejects %j without quoting it',
    (text) => {
      expect(() => parseBaseUrl(text, 'lmcacheUrl')).toThrow(
        expect.objectContaining({
          code: 'CONFIG',
          param: 'lmcacheUrl',
          message: expect.not.stringContaining('hunter2'),
        }),
      )
    },
  )
})

describe('urlOfHost', () => {
  it.each([
    ['10.0.0.7', 'http://10.0.0.7:8080'],
    ['node-a.cache', 'http://node-a.cache:8080'],
    ['fd00::7', 'http://[fd00::7]:8080'],
    ['[fd00::7]', 'http://[fd00::7]:8080'],
    ['fe80::1%eth0', 'http://[fe80::1]:8080'],
  ])('writes %s', (host, expected) => expect(urlOfHost(host, 8080)).toBe(expected))
})

async function listen(target: ReturnType<typeof createServer>): Promise<string> {
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(target.address() as AddressInfo).port}`
}

async function closedPort(): Promise<string> {
  const target = createServer()
  const url = await listen(target)
  await new Promise((resolve) => target.close(resolve))
  return url
}
