// The list of known attacks and of requests that cwm once mishandled, each with the correct response.

import { gzipSync } from 'node:zlib'
import { deepValue, H2C, HANDSHAKE, manyMembers, PATHS, wideValue } from './grammar.mjs'
import { keyOf } from './identities.mjs'
import { newPlan } from './plan.mjs'

const MIB = 1024 * 1024
const JSON_TYPE = ['Content-Type', 'application/json']
const TOO_MUCH = { status: [400, 413], header: ['content-type', /json/] }

/** `{ name, plan }` of each. `context`: `{ model, isListed, port }`. */
export function casesOf(context) {
  const cases = []
  const add = (name, make, expect) => {
    const who = { id: `l${cases.length}`, owner: 'k0', session: undefined }
    const plan = make(new Maker(who, context))
    plan.expect = expect
    plan.refused = expect.status !== 200 && [expect.status].flat().every((status) => status >= 400)
    cases.push({ name, plan })
  }
  work(add)
  upgrades(add)
  paths(add)
  identity(add, context)
  fields(add)
  return cases
}

class Maker {
  #who
  #context

  constructor(who, context) {
    this.#who = who
    this.#context = context
  }

  get port() {
    return this.#context.port
  }

  /** A chat request as JSON text, with `more` after its own members. */
  text(more = '') {
    const content = JSON.stringify(`nonce.${this.#who.owner}.${this.#who.id}`)
    return `{"model":"${this.#context.model}","max_tokens":4,"messages":[{"role":"user","content":${content}}]${more}}`
  }

  plan({
    method = 'POST',
    target = PATHS.chat,
    body = this.text(),
    headers = [],
    key = keyOf('k0'),
    type = JSON_TYPE,
  }) {
    const credentials = key === null ? [] : [['Authorization', `Bearer ${key}`]]
    const given = body === null ? undefined : Buffer.from(body)
    const types = given === undefined ? [] : [type]
    return newPlan(this.#who, {
      method,
      target,
      body: given,
      headers: [...types, ...credentials, ...headers],
      salted: true,
    })
  }

  get(target, headers = [], key = keyOf('k0')) {
    return this.plan({ method: 'GET', target, body: null, headers, key })
  }
}

const coded = (maker, coding, bytes, bodyBytes) => {
  const plan = maker.plan({ body: bytes, headers: [['Content-Encoding', coding]] })
  plan.bodyBytes = bodyBytes
  return plan
}

/** Requests that are small on the wire or in bytes, but cause a lot of work. */
function work(add) {
  add('gzip twice', (m) => coded(m, 'gzip, gzip', gzipSync(gzipSync(m.text())), 500), {
    status: 415,
    code: 'unsupported_encoding',
  })
  const messages = `{"messages":${wideValue('{}', 5 * MIB)}}`
  add('gzip twice of 15 MiB', (m) => coded(m, 'gzip, gzip', gzipSync(gzipSync(messages)), messages.length), {
    status: 415,
  })
  add('15 MiB of messages', (m) => coded(m, 'gzip', gzipSync(messages), messages.length), { status: [400, 413, 415] })
  const bomb = `{"x":"${'a'.repeat(20 * MIB)}"}`
  add('a ratio over 200', (m) => coded(m, 'gzip', gzipSync(bomb), bomb.length), { status: [400, 413, 415] })
  add('4 MiB of lists', (m) => m.plan({ body: m.text(`,"x":${wideValue('[]', MIB)}`) }), TOO_MUCH)
  add('100,000 repeated salts', (m) => m.plan({ body: m.text(',"cache_salt":""'.repeat(100_000)) }), TOO_MUCH)
  add('a salt twice', (m) => m.plan({ body: m.text(',"cache_salt":"attack-1","cache_s\\u0061lt":"attack-2"') }), {
    status: 400,
  })
  add('100,000 members', (m) => m.plan({ body: m.text(`,"x":${manyMembers(100_000)}`) }), TOO_MUCH)
  add(
    '11,000 messages',
    (m) => m.plan({ body: `{"messages":${wideValue('{"role":"user","content":"x"}', 11_000)}}` }),
    TOO_MUCH,
  )
  add('120,000 strings', (m) => m.plan({ body: m.text(`,"x":${wideValue('""', 120_000)}`) }), TOO_MUCH)
  add('300,000 numbers', (m) => m.plan({ body: m.text(`,"x":${wideValue('1', 300_000)}`) }), { status: 200 })
  add('depth 200', (m) => m.plan({ body: m.text(`,"x":${deepValue(200)}`) }), { status: 200 })
  add('depth 600', (m) => m.plan({ body: m.text(`,"x":${deepValue(600)}`) }), { status: 400, code: 'body_too_deep' })
}

function upgrades(add) {
  add('h2c with a body', (m) => m.plan({ headers: H2C }), { status: 200, header: ['connection', /close/i] })
  add('h2c with a body in chunks', (m) => Object.assign(m.plan({ headers: H2C }), { framing: 'chunked' }), {
    status: 200,
  })
  add('h2c on a stream', (m) => m.plan({ headers: H2C, body: m.text(',"stream":true') }), { status: 200 })
  add('h2c on REST', (m) => m.get('/cwm/v1/windows', H2C), { status: 200 })
  add('a WebSocket handshake', (m) => m.get('/v1/responses', HANDSHAKE), { status: 426, header: ['upgrade', /./] })
  const more =
    'POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nx-attack: smuggled/k0/-/refused\r\nContent-Length: 2\r\n\r\n{}'
  const behind = (plan) => Object.assign(plan, { tail: Buffer.from(more) })
  add('a request behind h2c', (m) => behind(m.plan({ headers: H2C })), { status: 200 })
  add('a request behind a handshake', (m) => behind(m.get('/v1/responses', HANDSHAKE)), { status: 426 })
}

function paths(add) {
  add('absolute form', (m) => m.plan({ target: `http://127.0.0.1:${m.port}${PATHS.chat}` }), { status: 200 })
  add('absolute form of another host', (m) => m.plan({ target: `http://evil.example${PATHS.chat}` }), { status: 403 })
  const help = { status: 404, code: 'unknown_path', message: /\/v1\/chat\/completions/ }
  add('without /v1', (m) => m.plan({ target: '/chat/completions' }), help)
  add('/v1 twice', (m) => m.plan({ target: `/v1${PATHS.chat}` }), help)
  add('a trailing slash', (m) => m.get('/v1/models/'), { status: 200 })
  add('a wrong method', (m) => m.get(PATHS.chat), { status: 405, header: ['allow', /POST/] })
  add('a wrong method on REST', (m) => m.plan({ target: '/cwm/v1/health', body: '{}' }), { status: [404, 405] })
  add('an encoded path', (m) => m.plan({ target: '/v1/chat%2Fcompletions' }), { status: 400, code: 'invalid_path' })
  const old = (plan) => Object.assign(plan, { version: 'HTTP/1.0', host: null })
  add('HTTP/1.0 without Host', (m) => old(m.get('/version')), { status: 200 })
  add('HTTP/1.1 without Host', (m) => Object.assign(m.get('/version'), { host: null }), { status: 400 })
  add('another Host', (m) => Object.assign(m.get('/version'), { host: 'evil.example' }), {
    status: 403,
    code: 'forbidden_host',
  })
  const preflight = [
    ['Origin', 'https://app.example'],
    ['Access-Control-Request-Method', 'POST'],
  ]
  add('a preflight with a body', (m) => m.plan({ method: 'OPTIONS', headers: preflight, key: null }), {
    status: [400, 413],
  })
}

function identity(add, { isListed }) {
  const two = [['x-api-key', keyOf('k1')]]
  add('two keys', (m) => m.plan({ headers: two }), { status: 400, code: 'invalid_header' })
  add('two keys, one as api-key', (m) => m.plan({ headers: [['api-key', keyOf('k1')]] }), {
    status: 400,
    code: 'invalid_header',
  })
  add('one key twice', (m) => m.plan({ headers: [['x-api-key', keyOf('k0')]] }), { status: 200 })
  const front = [
    ['Authorization', 'Basic ZnJvbnQ6eA=='],
    ['x-api-key', keyOf('k0')],
  ]
  const behindFront = (m) => {
    const plan = m.plan({ headers: front, key: null })
    plan.who.owner = isListed ? 'k0' : 'front-k0'
    return plan
  }
  add('a key behind a front proxy', behindFront, { status: 200 })
  add('a key as api-key', (m) => m.plan({ headers: [['api-key', keyOf('k0')]], key: null }), { status: 200 })
  if (isListed) {
    add('no key', (m) => m.plan({ key: null }), { status: 401 })
    add('an unknown key', (m) => m.plan({ key: 'nobody' }), { status: 401 })
  }
}

function fields(add) {
  for (const field of ['kv_transfer_params', 'agent_hint', 'nvext', 'kv_hints', 'prompt_embeds', 'priority']) {
    add(`the field ${field}`, (m) => m.plan({ body: m.text(`,"${field}":{"a":1}`) }), {
      status: 400,
      code: 'forbidden_field',
    })
  }
  const steering = [['X-data-parallel-rank', '0']]
  add('a steering header', (m) => m.plan({ headers: steering }), { status: 400, code: 'forbidden_header' })
  add('an unknown header of ours', (m) => m.plan({ headers: [['x-cwm-no', '1']] }), {
    status: 400,
    code: 'invalid_header',
  })
  add("another's window", (m) => m.plan({ headers: [['x-cwm-window', 'honest-window']] }), {
    status: 404,
    code: 'window_not_found',
  })
  add('no JSON', (m) => m.plan({ body: '{"model":' }), { status: 400, code: 'invalid_json' })
  add('no UTF-8', (m) => m.plan({ body: Buffer.from('{"a":"\xff"}', 'latin1') }), { status: 400, code: 'invalid_utf8' })
}
