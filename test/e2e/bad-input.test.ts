// Errors in a request are reported clearly, in the client's own dialect, and affect nobody else.

import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Ask, ask, errorOf, type Got, jsonOf, rawExchange, withoutOwnHeaders } from '../support/client.ts'
import { askChat, chat, user } from '../support/conversation.ts'
import { within } from '../support/deadline.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack({ settings: { max_body_bytes: 200_000 } })
})

// Whatever was sent, the next request is served.
afterEach(async () => {
  const next = await askChat(stack.url, [user('still there?')])
  expect(next.status).toBe(200)
  stack.sim.requests.clear()
})

afterAll(() => stack.close())

const CHAT = '/v1/chat/completions'
const MESSAGES = '/v1/messages'
const good = { model: 'sim-model', messages: [user('hi')], max_tokens: 3 }
const key = (name: string) => ({ authorization: `Bearer ${name}` })

interface Wanted {
  readonly status: number
  readonly code: string
  readonly param: string | null
}

function expectOpenAi(got: Got, { status, code, param }: Wanted): void {
  expect([got.status, got.headers['content-type']]).toEqual([status, 'application/json'])
  // 413 is about the whole body; its message names the setting.
  const field = status === 413 ? errorOf(got).param : param
  expect(errorOf(got)).toEqual({ message: expect.any(String), type: expect.any(String), param: field, code })
  expect(errorOf(got).message.length).toBeGreaterThan(8)
  expect(got.headers['x-cwm-request-id']).toBeTruthy()
}

function expectAnthropic(got: Got, { status, code, param }: Wanted): void {
  expect([got.status, got.headers['content-type']]).toEqual([status, 'application/json'])
  expect(jsonOf(got)).toEqual({
    type: 'error',
    error: {
      type: expect.any(String),
      code,
      message: param === null ? expect.any(String) : expect.stringContaining(param),
    },
    request_id: got.headers['x-cwm-request-id'],
  })
}

const deep = (levels: number): string =>
  `{"model":"sim-model","messages":[],"x":${'['.repeat(levels)}${']'.repeat(levels)}}`

const wrong: readonly (readonly [string, Ask, Wanted])[] = [
  ['an empty body', { body: '' }, { status: 400, code: 'invalid_json', param: 'body' }],
  ['no JSON', { body: 'hello' }, { status: 400, code: 'invalid_json', param: 'body' }],
  [
    'truncated JSON',
    { body: '{"model":"sim-model","messages":[{"role":"us' },
    { status: 400, code: 'invalid_json', param: 'body' },
  ],
  ['a list', { body: '[1]' }, { status: 400, code: 'invalid_json', param: 'body' }],
  ['null', { body: 'null' }, { status: 400, code: 'invalid_json', param: 'body' }],
  ['two objects', { body: '{}{}' }, { status: 400, code: 'invalid_json', param: 'body' }],
  ['NaN', { body: '{"temperature":NaN}' }, { status: 400, code: 'invalid_json', param: 'body' }],
  [
    'a byte order mark',
    { body: `\uFEFF${JSON.stringify(good)}` },
    { status: 400, code: 'invalid_json', param: 'body' },
  ],
  [
    'broken UTF-8',
    { body: Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]) },
    { status: 400, code: 'invalid_utf8', param: 'body' },
  ],
  [
    'an overlong spelling',
    { body: Buffer.concat([Buffer.from('{"'), Buffer.from([0xc1, 0xa3]), Buffer.from('":1}')]) },
    { status: 400, code: 'invalid_utf8', param: 'body' },
  ],
  [
    'UTF-16',
    { body: Buffer.from(JSON.stringify(good), 'utf16le') },
    { status: 400, code: 'invalid_json', param: 'body' },
  ],
  ['nested too deeply', { body: deep(5000) }, { status: 400, code: 'body_too_deep', param: 'body' }],
  [
    'no messages',
    { body: { model: 'sim-model', max_tokens: 3 } },
    { status: 400, code: 'invalid_field', param: 'messages' },
  ],
  [
    'messages that are not an array',
    { body: { ...good, messages: { role: 'user' } } },
    { status: 400, code: 'invalid_field', param: 'messages' },
  ],
  [
    'a model that is not a string',
    { body: { ...good, model: 7 } },
    { status: 400, code: 'invalid_field', param: 'model' },
  ],
  [
    'a wrong content type',
    { body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    { status: 415, code: 'unsupported_media_type', param: 'content-type' },
  ],
  [
    'text/plain',
    { body: JSON.stringify(good), headers: { 'content-type': 'text/plain' } },
    { status: 415, code: 'unsupported_media_type', param: 'content-type' },
  ],
  [
    'an unknown encoding',
    { body: JSON.stringify(good), headers: { 'content-encoding': 'zstd' } },
    { status: 415, code: 'unsupported_encoding', param: 'content-encoding' },
  ],
  [
    'invalid gzip',
    { body: JSON.stringify(good), headers: { 'content-encoding': 'gzip' } },
    { status: 415, code: 'unsupported_encoding', param: 'content-encoding' },
  ],
  [
    'truncated gzip',
    { body: gzipSync(JSON.stringify(good)).subarray(0, 20), headers: { 'content-encoding': 'gzip' } },
    { status: 415, code: 'unsupported_encoding', param: 'content-encoding' },
  ],
  [
    'too much',
    { body: { ...good, messages: [user('x'.repeat(250_000))] } },
    { status: 413, code: 'body_too_large', param: null },
  ],
  [
    'too large after decompression',
    {
      body: gzipSync(JSON.stringify({ ...good, messages: [user('x'.repeat(2_000_000))] })),
      headers: { 'content-encoding': 'gzip' },
    },
    { status: 413, code: 'body_too_large', param: null },
  ],
  [
    'too large in chunks',
    {
      body: JSON.stringify({ ...good, messages: [user('x'.repeat(250_000))] }),
      headers: ['Host', 'localhost', 'Content-Type', 'application/json', 'Transfer-Encoding', 'chunked'],
    },
    { status: 413, code: 'body_too_large', param: null },
  ],
  [
    'two keys',
    { body: good, headers: { authorization: 'Bearer a', 'x-api-key': 'b' } },
    { status: 400, code: 'invalid_header', param: 'x-api-key' },
  ],
  [
    'an unknown x-cwm header',
    { body: good, headers: { 'x-cwm-sesion': 'a' } },
    { status: 400, code: 'invalid_header', param: 'x-cwm-sesion' },
  ],
  [
    'a bad session id',
    { body: good, headers: { 'x-cwm-session': 'no spaces' } },
    { status: 400, code: 'invalid_header', param: 'x-cwm-session' },
  ],
  [
    'a session id that is too long',
    { body: good, headers: { 'x-cwm-session': 'a'.repeat(129) } },
    { status: 400, code: 'invalid_header', param: 'x-cwm-session' },
  ],
  [
    'an empty session id',
    { body: good, headers: { 'x-cwm-session': '' } },
    { status: 400, code: 'invalid_header', param: 'x-cwm-session' },
  ],
  [
    'a bad window name',
    { body: good, headers: { 'x-cwm-window': '../x' } },
    { status: 400, code: 'invalid_header', param: 'x-cwm-window' },
  ],
  [
    'a bad name to freeze under',
    { body: good, headers: { 'x-cwm-freeze': '.hidden' } },
    { status: 400, code: 'invalid_header', param: 'x-cwm-freeze' },
  ],
  [
    'a name reserved for cwm',
    { body: good, headers: { 'x-cwm-freeze': 'auto.mine' } },
    { status: 400, code: 'invalid_header', param: 'x-cwm-freeze' },
  ],
  [
    'an unknown window',
    { body: good, headers: { 'x-cwm-window': 'nowhere' } },
    { status: 404, code: 'window_not_found', param: 'x-cwm-window' },
  ],
]

describe.each([
  ['OpenAI', CHAT, expectOpenAi],
  ['Anthropic', MESSAGES, expectAnthropic],
] as const)('%s clients get errors for', (_, path, expectError) => {
  it.each(wrong)('%s', async (_name, request, wanted) => {
    const got = await ask(stack.url, path, { method: 'POST', ...request })

    expectError(got, wanted)
    expect(stack.sim.requests.all('engine').filter((entry) => entry.path === path)).toEqual([])
  })
})

describe('responses and completions', () => {
  it('reject background, and histories that only a server-side id identifies', async () => {
    const responses = (body: object) =>
      ask(stack.url, '/v1/responses', { body: { model: 'sim-model', input: 'x', ...body } })
    const thread = await ask(stack.url, '/v1/messages', {
      body: {
        model: 'sim-model',
        max_tokens: 5,
        messages: [],
        thread: { type: 'continue', previous_message_id: 'msg_1' },
      },
    })
    const reference = await responses({ input: [{ type: 'item_reference', id: 'msg_1' }] })

    expectOpenAi(await responses({ background: true }), { status: 400, code: 'not_supported', param: 'background' })
    expectOpenAi(await responses({ conversation: 'conv_1' }), {
      status: 400,
      code: 'not_supported',
      param: 'conversation',
    })
    expectOpenAi(reference, { status: 400, code: 'not_supported', param: 'input' })
    expect([thread.status, jsonOf<{ error: { code: string } }>(thread).error.code]).toEqual([400, 'not_supported'])
  })

  it.each(['x-cwm-freeze', 'x-cwm-window'])('completions reject %s', async (name) => {
    const got = await ask(stack.url, '/v1/completions', {
      body: { model: 'sim-model', prompt: 'x' },
      headers: { [name]: 'w' },
    })

    expectOpenAi(got, { status: 400, code: 'not_supported', param: name })
  })

  it('an input that is neither an array nor a string is named', async () => {
    const got = await ask(stack.url, '/v1/responses', { body: { model: 'sim-model', input: 7 } })

    expectOpenAi(got, { status: 400, code: 'invalid_field', param: 'input' })
  })
})

describe('paths that name sessions and windows', () => {
  it.each([
    ['/cwm/s/no%20space/v1/chat/completions', 'invalid_path'],
    ['/cwm/s/-x/v1/chat/completions', 'invalid_path'],
    [`/cwm/s/${'a'.repeat(129)}/v1/chat/completions`, 'invalid_path'],
    ['/cwm/w/.x/v1/chat/completions', 'invalid_path'],
    ['/cwm/w//v1/chat/completions', 'invalid_path'],
  ])('%s is rejected', async (path, code) => {
    const got = await ask(stack.url, path, { body: good })

    expectOpenAi(got, { status: 400, code, param: 'path' })
  })

  it('and headers must agree', async () => {
    const got = await ask(stack.url, `/cwm/s/a${CHAT}`, { body: good, headers: { 'x-cwm-session': 'b' } })

    expectOpenAi(got, { status: 400, code: 'invalid_header', param: 'x-cwm-session' })
  })

  it('an unknown window by path is 404', async () => {
    const got = await ask(stack.url, `/cwm/w/nowhere${CHAT}`, { body: good })

    expectOpenAi(got, { status: 404, code: 'window_not_found', param: 'x-cwm-window' })
  })
})

describe('names of other tenants', () => {
  it("another tenant's window is answered like a missing one: same status, headers and bytes", async () => {
    const owner = key('owner')
    await chat(stack.url, [user('The code is 17.')], { headers: { ...owner, 'x-cwm-freeze': 'secret-one' } })
    await ask(stack.url, '/cwm/v1/windows/secret-one?wait_ms=5000', { headers: owner })
    const asked = (name: string): Promise<Got>[] => [
      askChat(stack.url, [user('hi')], { headers: { ...key('thief'), 'x-cwm-window': name } }),
      askChat(stack.url, [user('hi')], { headers: key('thief'), path: `/cwm/w/${name}${CHAT}` }),
      ask(stack.url, `/cwm/v1/windows/${name}`, { headers: key('thief') }),
      ask(stack.url, `/cwm/v1/windows/${name}?wait_ms=50`, { headers: key('thief') }),
      ask(stack.url, `/cwm/v1/windows/${name}/thaw`, { headers: key('thief'), body: {} }),
      ask(stack.url, `/cwm/v1/windows/${name}/thaw`, { headers: key('thief'), body: { to: 'l1' } }),
    ]

    const there = await Promise.all(asked('secret-one'))
    const absent = await Promise.all(asked('absent-one'))

    const shown = ({ status, headers, text }: Got, name: string) => ({
      status,
      headers: withoutOwnHeaders(headers),
      text: text.replaceAll(name, 'NAME'),
    })
    expect(there.map((got) => shown(got, 'secret-one'))).toEqual(absent.map((got) => shown(got, 'absent-one')))
    expect(there.map((got) => got.status)).toEqual([404, 404, 404, 404, 404, 404])
  })

  it("another tenant's session is answered like a missing one", async () => {
    await chat(stack.url, [user('hi')], { headers: { ...key('owner'), 'x-cwm-session': 'theirs' } })

    const show = await ask(stack.url, '/cwm/v1/sessions/theirs', { headers: key('thief') })
    const freeze = await ask(stack.url, '/cwm/v1/windows', {
      headers: key('thief'),
      body: { name: 'w', session_id: 'theirs' },
    })

    expectOpenAi(show, { status: 404, code: 'session_not_found', param: 'session_id' })
    expectOpenAi(freeze, { status: 404, code: 'session_not_found', param: 'session_id' })
  })

  it('a name that another tenant uses is free', async () => {
    const mine = await chat(stack.url, [user('hi')], { headers: { ...key('n1'), 'x-cwm-freeze': 'same-name' } })
    const theirs = await chat(stack.url, [user('hi')], { headers: { ...key('n2'), 'x-cwm-freeze': 'same-name' } })

    expect([mine, theirs].map((turn) => turn.got.headers['x-cwm-freeze'])).toEqual(['pending', 'pending'])
  })
})

describe('a freeze', () => {
  it('under a taken name is 409 before anything is dispatched', async () => {
    await chat(stack.url, [user('hi')], { headers: { 'x-cwm-freeze': 'taken' } })
    await ask(stack.url, '/cwm/v1/windows/taken?wait_ms=5000')
    stack.sim.requests.clear()

    const got = await askChat(stack.url, [user('hi')], { headers: { 'x-cwm-freeze': 'taken' } })

    expectOpenAi(got, { status: 409, code: 'window_name_taken', param: 'x-cwm-freeze' })
    expect(stack.sim.requests.all('engine').filter((entry) => entry.path === CHAT)).toEqual([])
  })

  it('under a taken name by REST is 409 and names the field of the body', async () => {
    const turn = await chat(stack.url, [user('hi')], { headers: { 'x-cwm-freeze': 'taken-rest' } })
    await ask(stack.url, '/cwm/v1/windows/taken-rest?wait_ms=5000')

    const got = await ask(stack.url, '/cwm/v1/windows', { body: { name: 'taken-rest', session_id: turn.session } })

    expectOpenAi(got, { status: 409, code: 'window_name_taken', param: 'name' })
  })

  it('of an unknown session is 404', async () => {
    const got = await ask(stack.url, '/cwm/v1/windows', { body: { name: 'w1', session_id: 'nobody' } })

    expectOpenAi(got, { status: 404, code: 'session_not_found', param: 'session_id' })
  })

  it('of a session without a last turn is 409, and says what to do', async () => {
    await ask(stack.url, '/v1/completions', {
      body: { model: 'sim-model', prompt: 'x' },
      headers: { 'x-cwm-session': 'bare' },
    })

    const got = await ask(stack.url, '/cwm/v1/windows', { body: { name: 'w1', session_id: 'bare' } })

    expectOpenAi(got, { status: 409, code: 'session_empty', param: 'session_id' })
    expect(errorOf(got).message).toContain('x-cwm-freeze: w1')
  })
})

describe('REST bodies and queries', () => {
  it.each([
    ['POST', '/cwm/v1/windows', 'no json', 400, 'body'],
    ['POST', '/cwm/v1/windows', '{"name":', 400, 'body'],
    ['POST', '/cwm/v1/windows', '', 400, 'name'],
    ['POST', '/cwm/v1/windows', '[]', 400, 'body'],
    ['POST', '/cwm/v1/windows', '{}', 400, 'name'],
    ['POST', '/cwm/v1/windows', '{"name":7,"session_id":"a"}', 400, 'name'],
    ['POST', '/cwm/v1/windows', '{"name":"a","session_id":"a","extra":1}', 400, 'extra'],
    ['POST', '/cwm/v1/windows', '{"name":"a","session_id":"a","wait":"yes"}', 400, 'wait'],
    ['POST', '/cwm/v1/windows/a/thaw', '{"to":"moon"}', 400, 'to'],
    ['POST', '/cwm/v1/windows/a/thaw', '{"session_id":"no spaces"}', 400, 'session_id'],
    ['GET', '/cwm/v1/windows?limit=0', undefined, 400, 'limit'],
    ['GET', '/cwm/v1/windows?limit=many', undefined, 400, 'limit'],
    ['GET', '/cwm/v1/windows?cursor=%00junk', undefined, 400, 'cursor'],
    ['GET', '/cwm/v1/sessions?cursor=junk', undefined, 400, 'cursor'],
    ['GET', '/cwm/v1/windows/a?wait_ms=99999999', undefined, 400, 'wait_ms'],
    ['GET', '/cwm/v1/nothing', undefined, 404, 'path'],
    ['GET', '/cwm/v1/windows/%2e%2e%2fx', undefined, 404, 'name'],
    ['GET', '/cwm/v1/windows/%', undefined, 404, 'name'],
  ])('%s %s %s', async (method, path, body, status, param) => {
    const got = await ask(stack.url, path, { method, ...(body === undefined ? {} : { body }) })

    expect([got.status, errorOf(got).param]).toEqual([status, param])
  })

  it('a body that is too large is 413', async () => {
    const got = await ask(stack.url, '/cwm/v1/windows', { body: { name: 'a', session_id: 'a'.repeat(100_000) } })

    expect([got.status, errorOf(got).code]).toEqual([413, 'body_too_large'])
  })

  it.each([
    ['PUT', 400],
    ['PATCH', 404],
    ['DELETE', 404],
  ])('%s on a missing window, without content to create it, is %i', async (method, status) => {
    const got = await ask(stack.url, '/cwm/v1/windows/a', { method, body: '{}' })

    expect(got.status).toBe(status)
  })
})

describe('connections', () => {
  it('with a body far over the limit: the client reads the whole answer even while it keeps writing', async () => {
    const { port } = new URL(stack.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    const read: Buffer[] = []
    socket.on('data', (chunk) => read.push(chunk))
    socket.write(
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30000000\r\n\r\n`,
    )
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const chunk = Buffer.alloc(100_000, 'x')
    for (let sent = 0; sent < 30_000_000 && !socket.destroyed; sent += chunk.length) {
      if (socket.write(chunk)) continue
      const drained = new Promise((resolve) => socket.once('drain', resolve))
      await within('the server goes on reading', Promise.race([drained, closed]))
    }
    await within('the server closes', closed)

    const answer = Buffer.concat(read).toString()
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toContain('"code":"body_too_large"')
    expect(answer).toMatch(/connection: close/i)
    expect(socket.bytesWritten).toBeGreaterThan(30_000_000)
  })

  it('that end before the announced length affect nobody', async () => {
    const { port } = new URL(stack.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(
      `POST ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"mod`,
    )
    await once(socket, 'connect')
    socket.destroy()

    expect((await askChat(stack.url, [user('x')])).status).toBe(200)
  })

  it('with bytes that are not HTTP are answered 400', async () => {
    expect(await rawExchange(stack.url, '\x16\x03\x01garbage\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('with headers that are too large are answered 431', async () => {
    const answer = await rawExchange(
      stack.url,
      `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Big: ${'x'.repeat(100_000)}\r\n\r\n`,
    )

    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
  })

  it('that request an upgrade and reset at once do not end the process', async () => {
    const { port } = new URL(stack.url)
    for (let i = 0; i < 20; i++) {
      const socket = connect(Number(port), '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      socket.write('GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      socket.resetAndDestroy()
    }

    expect((await askChat(stack.url, [user('x')])).status).toBe(200)
  })

  it('that requested an upgrade are closed, even if the client never closes its side', async () => {
    const { port } = new URL(stack.url)
    const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {})
    socket.resume()
    socket.write('GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    await within('the server ends its side', once(socket, 'end'))

    const closed = new Promise((resolve) => socket.once('close', resolve))
    const write = setInterval(() => socket.write('x'), 5)
    try {
      await within('writing on fails, since nobody is there', closed, 3_000)
    } finally {
      clearInterval(write)
      socket.destroy()
    }
  })
})
