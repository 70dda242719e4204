// GET /v1/models through cwm: each model's context limit is added as `max_input_tokens`, and no other byte changes.

import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { type Ask, ask, jsonOf, rawExchange } from '../support/client.ts'
import { type FakeUpstream, type Received, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { head as rawHead, startRawUpstream } from '../support/raw-upstream.ts'
import { type Cwm, type Stack, startCwm, startStack } from '../support/stack.ts'

const MODELS = '/v1/models'
// Spaces, escapes, a number beyond double precision, and an unknown member: all must be preserved.
const odd =
  '{ "object":"list",\n "x":12345678901234567890, "data":[ {"id":"m\\u0031", "max_model_len" : 4096 } ,\t{"id":"m2"}] }\n'
const oddShown = odd.replace(' : 4096 ', ' : 4096,"max_input_tokens":4096 ')

let upstream: FakeUpstream
let cwm: Cwm
let answering: Parameters<typeof startFakeUpstream>[0]

/** cwm's own requests are answered separately: only a forwarded request has a client. */
const isForwarded = ({ headers }: Received) => headers['x-forwarded-for'] !== undefined
const usual: typeof answering = (_, response) => sayJson(response, odd)

beforeAll(async () => {
  answering = usual
  upstream = await startFakeUpstream(
    (request, response, incoming) =>
      isForwarded(request) ? answering(request, response, incoming) : sayJson(response, '{"data":[]}'),
    { ownModels: true },
  )
  cwm = await startCwm(upstream.url, {
    routes: { salted: {}, plain: { '/v1/models/m1': ['GET'], '/v1/models-of-mine': ['GET'] } },
  })
})

afterEach(() => {
  answering = usual
  upstream.received.length = 0
})

afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

const list = (options: Ask = {}) => ask(cwm.url, MODELS, options)
const forwarded = () => upstream.received.filter(isForwarded)

describe('the list of models', () => {
  it('has each known context limit; all other bytes are the upstream’s own', async () => {
    const got = await list()

    expect([got.status, got.text]).toEqual([200, oddShown])
    expect(got.headers['content-length']).toBe(String(Buffer.byteLength(oddShown)))
  })

  it.each(['/cwm/s/mine/v1/models', '/v1/models/', '/v1/models?after=1'])('is the same at %s', async (path) => {
    expect((await ask(cwm.url, path)).text).toBe(oddShown)
  })

  it('keeps an answer in chunks chunked, wherever it is split', async () => {
    answering = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
      for (const char of odd) response.write(char)
      response.end()
    }

    const got = await list()

    expect([got.text, got.headers['transfer-encoding']]).toEqual([oddShown, 'chunked'])
  })

  it('keeps the other headers, in their order and spelling', async () => {
    answering = (_, response) => {
      response.writeHead(200, [
        'X-Odd',
        '1',
        'Content-Type',
        'application/json',
        'Content-Length',
        `${odd.length}`,
        'X-Odd',
        '2',
      ])
      response.end(odd)
    }

    const { rawHeaders } = await list()

    const length = String(Buffer.byteLength(oddShown))
    const expected = ['X-Odd', '1', 'Content-Type', 'application/json', 'Content-Length', length, 'X-Odd', '2']
    expect(rawHeaders.slice(0, 8)).toEqual(expected)
  })

  it('may be forwarded for a single model, if the operator adds the path', async () => {
    answering = (_, response) => sayJson(response, '{"id":"m1","max_model_len":512}')

    expect((await ask(cwm.url, '/v1/models/m1')).text).toBe('{"id":"m1","max_model_len":512,"max_input_tokens":512}')
    expect((await ask(cwm.url, '/v1/models-of-mine')).text).toBe('{"id":"m1","max_model_len":512}')
  })
})

describe('another answer passes unchanged', () => {
  const plain = { 'content-type': 'application/json' }
  it.each<[string, number, Record<string, string>, string | Buffer]>([
    ['another status', 404, plain, odd],
    ['another success', 203, plain, odd],
    ['another media type', 200, { 'content-type': 'text/plain' }, odd],
    ['no media type', 200, {}, odd],
    ['no JSON', 200, plain, odd.slice(0, -3)],
    ['a list alone', 200, plain, '[{"id":"m","max_model_len":4096}]'],
    ['data that is not an array', 200, plain, '{"data":{"id":"m","max_model_len":4096}}'],
    ['items that are not objects', 200, plain, '{"data":["m",4,null,[{"id":"m","max_model_len":4096}]]}'],
    ['an empty list', 200, plain, '{"data":[]}'],
    ['nothing', 200, plain, ''],
    ['an encoding that was not requested', 200, { ...plain, 'content-encoding': 'gzip' }, gzipSync(odd)],
    ['an event stream', 200, { 'content-type': 'text/event-stream' }, 'data: {}\n\n'],
    ['an invalid limit', 200, plain, '{"data":[{"id":"m","max_model_len":"4096"},{"id":"n","max_model_len":-1}]}'],
  ])('%s', async (_, status, headers, body) => {
    answering = (_request, response) => {
      response.writeHead(status, { ...headers, etag: '"1"', 'content-length': Buffer.byteLength(body) })
      response.end(body)
    }

    const got = await list()

    expect([got.status, got.body, got.clean]).toEqual([status, Buffer.from(body), true])
    expect([got.headers.etag, got.headers['content-length']]).toEqual(['"1"', String(Buffer.byteLength(body))])
  })

  it.each([true, false])('more than cwm buffers (with a length: %s)', async (told) => {
    const body = `{"data":[{"id":"m","max_model_len":4096}],"x":"${'x'.repeat(1024 * 1024)}"}`
    answering = (_, response) => {
      response.writeHead(200, { ...plain, ...(told ? { 'content-length': body.length } : {}) })
      response.end(body)
    }

    const got = await list()

    expect([got.text === body, got.clean]).toEqual([true, true])
  })
})

describe('an upstream that breaks off', () => {
  it('in the middle of its list is a 502, not a partial list', async () => {
    const raw = await startRawUpstream((socket) => {
      socket.end(`${rawHead(200, ['content-type: application/json', 'content-length: 1000'])}{"data":[`)
    })
    const other = await startCwm(raw.url)
    try {
      const got = await ask(other.url, `${MODELS}?`)
      expect([got.status, got.clean]).toEqual([502, true])
    } finally {
      await other.close()
      await raw.close()
    }
  })
})

describe('HEAD and conditions', () => {
  it('answer HEAD without headers that only apply to the upstream’s own bytes', async () => {
    answering = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': odd.length, etag: '"1"' })
      response.end()
    }

    const got = await list({ method: 'HEAD' })

    expect([got.status, got.body.length, got.headers['content-type']]).toEqual([200, 0, 'application/json'])
    expect([got.headers['content-length'], got.headers.etag]).toEqual([undefined, undefined])
    expect(forwarded().map(({ method }) => method)).toEqual(['HEAD'])
  })

  it("pass the upstream's error to HEAD on", async () => {
    answering = (_, response) => {
      response.writeHead(405, { allow: 'GET', 'content-length': 31 })
      response.end()
    }

    const got = await list({ method: 'HEAD' })

    expect([got.status, got.headers.allow, got.headers['content-length']]).toEqual([405, 'GET', '31'])
  })

  it('digests and entity tags of the upstream’s bytes are not sent with changed bytes', async () => {
    answering = (_, response) => {
      for (const name of ['etag', 'content-md5', 'content-digest', 'repr-digest', 'digest', 'accept-ranges'])
        response.setHeader(name, '"1"')
      response.setHeader('last-modified', 'Sat, 28 Nov 2026 00:00:00 GMT')
      sayJson(response, odd)
    }

    const { headers, text } = await list()

    expect(text).toBe(oddShown)
    expect(Object.keys(headers).filter((name) => /etag|digest|md5|ranges/.test(name))).toEqual([])
    expect(headers['last-modified']).toBe('Sat, 28 Nov 2026 00:00:00 GMT')
  })

  it('the list is requested whole and unencoded: no condition, range or encoding reaches the upstream', async () => {
    const headers = {
      'if-none-match': '"1"',
      'If-Modified-Since': 'Sat, 28 Nov 2026 00:00:00 GMT',
      range: 'bytes=0-9',
      'if-range': '"1"',
      'accept-encoding': 'gzip',
      'x-kept': 'yes',
    }

    const got = await list({ headers })

    const [sent] = forwarded()
    expect([got.status, got.text]).toEqual([200, oddShown])
    expect(Object.keys(sent?.headers ?? {}).filter((name) => /^if-|range/.test(name))).toEqual([])
    expect([sent?.headers['accept-encoding'], sent?.headers['x-kept']]).toEqual(['identity', 'yes'])
  })

  it('OPTIONS passes unchanged', async () => {
    answering = (_, response) => sayJson(response, odd)

    const got = await list({ method: 'OPTIONS', headers: { 'accept-encoding': 'gzip' } })

    expect([got.text, forwarded()[0]?.headers['accept-encoding']]).toEqual([odd, 'gzip'])
  })

  it('the next request on the same connection is answered too', async () => {
    const one = `GET ${MODELS} HTTP/1.1\r\nHost: localhost\r\n`
    const text = (await rawExchange(cwm.url, `${one}\r\n${one}Connection: close\r\n\r\n`)).toString()

    expect(text.split('"max_input_tokens":4096').length).toBe(3)
  })
})

describe('with the simulated engine and the operator’s limits', () => {
  let stack: Stack
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
  type List = { readonly data: readonly { readonly id: string; readonly max_input_tokens?: number }[] }

  beforeAll(async () => {
    stack = await startStack({
      sim: {
        maxModelLen: 8192,
        adapters: [
          { name: 'first', path: './first' },
          { name: 'second', path: './second' },
        ],
      },
      settings: {
        limits: { second: 2048, 'sim-model': 100_000 },
        tenants: [
          {
            id: 'narrow',
            keys: [{ name: 'main', sha256: keyHash('narrow-key') }],
            models: ['second', 'first'],
            allowed_fields: [],
          },
          { id: 'wide', keys: [{ name: 'main', sha256: keyHash('wide-key') }], allowed_fields: [] },
        ],
      },
    })
  })
  afterAll(() => stack.close())

  const limits = async (key: string) =>
    jsonOf<List>(await ask(stack.url, MODELS, { headers: bearer(key) })).data.map((card) => [
      card.id,
      card.max_input_tokens,
    ])

  it('has the lower of both; an adapter has the limit of its base model', async () => {
    expect(await limits('wide-key')).toEqual([
      ['sim-model', 8192],
      ['first', 8192],
      ['second', 2048],
    ])
  })

  it('has them for a tenant with its own list, even without the base model', async () => {
    expect(await limits('narrow-key')).toEqual([
      ['first', 8192],
      ['second', 2048],
    ])
  })
})
