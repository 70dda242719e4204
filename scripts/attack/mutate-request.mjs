// Mutations of a request outside its body: headers, paths, methods, upgrades. Each changes the plan in place.

import { H2C, HANDSHAKE, PATHS } from './grammar.mjs'
import { STEERING_HEADERS } from './steering-names.mjs'

const add = (plan, ...headers) => plan.headers.push(...headers)

function markRefused(plan) {
  plan.refused = true
}

/** A header that makes any request invalid, on every path. */
const SESSION_NAMES = ['attack-s1', 'attack-s2', 'honest-main', 'A.b_c:d-1']
const BAD_NAMES = ['a/b', '../x', 'a b', '', 'x'.repeat(200), '-x', '%2e', 'a,b']

function named(plan, draw) {
  if (!plan.salted) return
  if (draw.chance(0.25)) {
    add(plan, ['X-CWM-Session', draw.pick(BAD_NAMES.filter((name) => name !== ''))])
    return markRefused(plan)
  }
  const session = draw.pick(SESSION_NAMES)
  plan.who.session = session
  if (draw.chance(0.5)) add(plan, ['x-cwm-session', session])
  else plan.target = `/cwm/s/${session}${plan.target}`
}

function control(plan, draw) {
  if (!plan.salted) return
  const kind = draw.below(5)
  if (kind === 0) add(plan, ['x-cwm-window', 'honest-window'])
  if (kind === 1) add(plan, ['x-cwm-tenant', 'honest-a'])
  if (kind === 2) add(plan, ['x-cwm-no-such', '1'])
  if (kind === 3) add(plan, ['x-cwm-overflow', draw.pick(['explode', 'PASS', '1'])])
  if (kind === 4) add(plan, ['x-cwm-session', 'attack-s1'], ['X-Cwm-Session', 'attack-s2'])
  markRefused(plan)
}

function steer(plan, draw) {
  add(plan, [draw.pick(STEERING_HEADERS), draw.pick(['0', '-1', 'x'])])
  if (plan.salted) markRefused(plan)
}

const NAMED = [
  'authorization',
  'x-api-key',
  'x-cwm-session',
  'host',
  'content-length',
  'content-type',
  'x-forwarded-for',
  'cache-control',
  'x-cwm-window',
  'te',
  'cookie',
]
const hopByHop = (plan, draw) =>
  add(plan, ['Connection', ['keep-alive', draw.pick(NAMED), draw.pick(NAMED)].join(draw.pick([', ', ',']))])

const HARMLESS = [
  ['Accept-Encoding', 'gzip, br, zstd'],
  ['TE', 'trailers'],
  ['Trailer', 'x-cwm-session'],
  ['Keep-Alive', 'timeout=9999'],
  ['Proxy-Authorization', 'Basic eDp5'],
  ['Proxy-Connection', 'keep-alive'],
  ['X-Forwarded-For', '127.0.0.1, ::1'],
  ['X-Forwarded-Host', 'evil.example'],
  ['X-Forwarded-Proto', 'https'],
  ['Forwarded', 'for=127.0.0.1;host=evil.example'],
  ['X-HTTP-Method-Override', 'DELETE'],
  ['Cookie', 'cwm=forged'],
  ['Session-Id', 'attack-thread'],
  ['X-Session-ID', 'attack-session-of-mine'],
  ['x-openwebui-user-id', 'attack-user'],
  ['X-Original-URL', '/metrics'],
  ['Range', 'bytes=0-1'],
  ['If-None-Match', '*'],
  ['Accept', 'text/html'],
  ['X-Request-Id', 'é'.repeat(10)],
  ['X-Request-Id', 'x'.repeat(500)],
  ['x-empty', ''],
  ['Priority', 'u=0'],
]
const harmless = (plan, draw) => add(plan, draw.pick(HARMLESS))

function mediaType(plan, draw) {
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'json',
  ]
  plan.headers = plan.headers.filter(([name]) => name.toLowerCase() !== 'content-type')
  add(plan, ['Content-Type', draw.pick(types)])
  if (plan.salted) markRefused(plan)
}

function many(plan, draw) {
  if (draw.chance(0.5)) for (let n = 0; n < 300; n++) add(plan, [`x-h${n}`, '1'])
  else add(plan, ['x-long', 'x'.repeat(70_000)])
  plan.broken = true
  markRefused(plan)
}

function origin(plan, draw) {
  add(plan, ['Origin', draw.pick(['https://evil.example', 'null'])], ['Sec-Fetch-Site', 'cross-site'])
}

function host(plan, draw) {
  plan.host = draw.pick(['evil.example', 'evil.example:80', '', null, '127.0.0.1.evil.example', '169.254.169.254'])
  plan.broken = plan.host === null
  markRefused(plan)
}

export const HEADER_CHANGES = [
  [6, named],
  [2, control],
  [2, steer],
  [3, hopByHop],
  [6, harmless],
  [1, mediaType],
  [0.3, many],
  [1, origin],
  [0.5, host],
]

const known = Object.values(PATHS)
/** `[target, isRefused]`. */
const TARGETS = [
  ['/v1/chat%2Fcompletions', true],
  ['/v1/chat/completions/../models', true],
  ['/v1//chat/completions', true],
  ['//v1/chat/completions', true],
  ['/v1/./chat/completions', true],
  ['/v1/chat/completions;x=1', true],
  ['/v1\\chat\\completions', true],
  ['/V1/chat/completions', true],
  ['/chat/completions', true],
  ['/v1/v1/chat/completions', true],
  ['/v1/chat/completions#x', true],
  ['/v1/chat/completions%00', true],
  ['/metrics', true],
  ['/reset_prefix_cache', true],
  ['/v1/load_lora_adapter', true],
  ['/sleep', true],
  ['/cwm/s//v1/chat/completions', true],
  ['/cwm/s/a%2Fb/v1/chat/completions', true],
  ['/cwm/s/attack-s1/cwm/s/attack-s2/v1/chat/completions', true],
  ['/cwm/s/attack-s1/metrics', true],
  ['/cwm/w/honest-window/v1/chat/completions', true],
  ['/cwm/../v1/chat/completions', true],
  ['/cwm/v1/windows/honest-window', true],
  ['/cwm/v1/windows/honest-window/export', true],
  ['/cwm/v1/windows/honest-window/thaw', true],
  ['/cwm/v1/sessions/honest-main', true],
  ['/cwm/v1/sessions/honest-main/freeze', true],
  [`/${'x'.repeat(3_000)}`, true],
  ['*', true],
  ['x', true],
  ['http://evil.example/v1/chat/completions', true],
  ['/v1/responses/resp_attack', true],
]
const OWN_PATHS = [
  '/cwm/v1/health',
  '/cwm/readyz',
  '/cwm/livez',
  '/cwm/openapi.json',
  '/cwm/v1/windows',
  '/cwm/v1/sessions',
  '/cwm/mcp',
  '/cwm/',
  '/cwm/ui/rest',
  '/cwm/v1/audit',
  '/cwm/v1/tenants/me',
  '/cwm/v1/events/none',
  '/v1/models',
  '/version',
  '/health',
  '/v1/models/',
  '/tokenize',
  '/v1/messages/count_tokens',
]

export function changeTarget(plan, draw) {
  const kind = draw.below(4)
  plan.salted = false
  if (kind < 2) {
    const [target, isRefused] = draw.pick(TARGETS)
    plan.target = target
    if (isRefused) markRefused(plan)
  } else if (kind === 2) {
    plan.target = draw.pick(OWN_PATHS)
    if (draw.chance(0.6)) {
      plan.method = 'GET'
      plan.body = undefined
      plan.framing = 'none'
      plan.bodyBytes = 0
    }
  } else plan.target = `${draw.pick(known)}${draw.pick(['/', '/x', '%20', '.json', ':', '~', '/%2e'])}`
}

const METHODS = ['GET', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'HEAD', 'OPTIONS', 'QUERY']

export function changeMethod(plan, draw) {
  plan.method = draw.pick(METHODS)
  plan.salted = false
  // A preflight with a body is rejected, and these paths accept no other method.
  if (known.includes(plan.target)) markRefused(plan)
}

/** An upgrade request, possibly followed by bytes, which must reach nobody. */
export function upgrade(plan, draw) {
  const kind = draw.below(4)
  if (kind === 0) {
    plan.method = 'GET'
    plan.body = undefined
    plan.framing = 'none'
    plan.salted = false
    add(plan, ...HANDSHAKE)
    markRefused(plan)
  } else if (kind === 1) add(plan, ...H2C)
  else if (kind === 2)
    add(plan, ['Connection', 'upgrade'], ['Upgrade', draw.pick(['h2c, websocket', 'TLS/1.0', 'foo/2', 'h2c,,'])])
  else add(plan, ['Upgrade', 'h2c'])
  if (kind < 3 && draw.chance(0.6)) plan.tail = smuggled(plan, draw)
}

/** A smuggled request, which must reach nobody. */
function smuggled({ who }, draw) {
  const body = '{"model":"sim-model","messages":[{"role":"user","content":"smuggled"}]}'
  const whole = [
    `POST ${draw.pick(known)} HTTP/1.1`,
    'Host: 127.0.0.1',
    `x-attack: ${who.id}-smuggled/${who.owner}/-/refused`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n')
  return Buffer.from(
    draw.pick([whole, whole.slice(0, 60), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\r\n\r\n\0\0\0', whole + whole]),
  )
}
