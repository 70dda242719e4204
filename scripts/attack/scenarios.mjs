// Attacks that take more than one request: visibility to others, load on the engine, and behavior when a part is down.

import { setTimeout as sleep } from 'node:timers/promises'
import { PATHS } from './grammar.mjs'
import { keyOf } from './identities.mjs'
import { TAG_HEADER, tagOf } from './tag.mjs'

const AT_ONCE = 16
/** At most one probe per second, within two seconds. */
const MAX_PROBES = 3

/** Scenarios that stop the engine, so they run when nothing else does. */
export const lastScenariosOf = ({ model }) => [
  { name: 'an engine that is gone', run: (stack) => engineGone(stack, model) },
]

/** Scenarios as `{ name, run(stack) }`; `run` resolves with descriptions of what is wrong. */
export function scenariosOf({ model, isListed }) {
  const common = [
    ['documents for everybody', documents],
    ['health for everybody', health],
    ['session ids of the client', (stack) => sessionIds(stack, model)],
    ["another key's window", (stack) => foreignWindow(stack, model)],
  ]
  const own = isListed
    ? [
        ['users by number', (stack) => users(stack, model)],
        ['a quota', (stack) => quota(stack, model)],
      ]
    : []
  return [...common, ...own].map(([name, run]) => ({ name, run }))
}

async function ask(stack, path, { method = 'GET', key, headers = {}, json } = {}) {
  const answer = await fetch(`${stack.cwm.url}${path}`, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

const chatOf = (model, words, more = {}) => ({
  model,
  max_tokens: 4,
  messages: [{ role: 'user', content: words }],
  ...more,
})
const tag = (id, owner, session = '-') => ({ [TAG_HEADER]: tagOf({ id, owner, session }) })
const times = (count, make) => Promise.all(Array.from({ length: count }, (_, n) => make(n)))

/** Static documents are built once, and revalidated by their ETag. */
async function documents(stack) {
  const faults = []
  for (const path of ['/cwm/openapi.json', '/cwm/ui/rest']) {
    const all = await times(AT_ONCE, () => ask(stack, path))
    const etag = all[0].headers.get('etag')
    if (all.some(({ status }) => status !== 200)) faults.push(`${path}: ${all.map(({ status }) => status)}`)
    if (etag === null) faults.push(`${path} has no ETag`)
    else {
      const again = await ask(stack, path, { headers: { 'if-none-match': etag } })
      if (again.status !== 304) faults.push(`${path} with its ETag: ${again.status}`)
    }
  }
  return faults
}

async function health(stack) {
  const count = async () => (await stack.upstream.ask({ want: 'count', path: '/health' })).count
  const before = await count()
  const all = await times(5 * AT_ONCE, () => ask(stack, '/cwm/v1/health'))
  const probes = (await count()) - before
  const faults = all.some(({ status }) => status !== 200) ? ['health does not answer 200'] : []
  return probes > MAX_PROBES ? [...faults, `${probes} probes of the engine for ${all.length} requests`] : faults
}

/** The engine gets a session id from cwm, the same for the whole conversation. */
async function sessionIds(stack, model) {
  const send = (id, words) =>
    ask(stack, PATHS.chat, {
      ...{ method: 'POST', key: keyOf('k0') },
      headers: { ...tag(id, 'k0'), 'x-session-id': 'attack-session-of-mine' },
      json: chatOf(model, `nonce.k0.${id} ${words}`, { session_id: 'attack-session-of-mine' }),
    })
  const { status } = await send('sid', 'hello')
  const { found } = await stack.upstream.ask({ want: 'find', id: 'sid' })
  if (status !== 200 || found === undefined) return [`status ${status}`]
  const given = [found.sessionId, found.sessionHeader].filter((value) => String(value).includes('attack-session'))
  return given.length > 0 ? ['the client’s own session id arrived at the engine'] : []
}

/** A window can be exported only by the key that froze it, whatever header the keys are in. */
async function foreignWindow(stack, model) {
  const name = 'attack-window'
  const mine = {
    'api-key': keyOf('k3'),
    ...tag('win', 'k3', 'attack-win'),
    'x-cwm-session': 'attack-win',
    'x-cwm-freeze': name,
  }
  const made = await ask(stack, PATHS.chat, {
    method: 'POST',
    headers: mine,
    json: chatOf(model, 'nonce.k3.win hello'),
  })
  if (made.status !== 200) return [`freezing: ${made.status} ${made.text.slice(0, 200)}`]
  await ask(stack, `/cwm/v1/windows/${name}?wait_ms=5000`, { headers: { 'api-key': keyOf('k3') } })
  const path = `/cwm/v1/windows/${name}/export`
  const own = await ask(stack, path, { headers: { 'api-key': keyOf('k3') } })
  const others = [{ 'api-key': keyOf('k4') }, { 'x-api-key': keyOf('k4') }, { authorization: `Bearer ${keyOf('k4')}` }]
  const faults = own.status === 200 ? [] : [`its own: ${own.status} ${own.text.slice(0, 200)}`]
  for (const headers of others) {
    const { status } = await ask(stack, path, { headers })
    if (status !== 404) faults.push(`${Object.keys(headers)[0]} of another: ${status}`)
  }
  return faults
}

/** Users are distinguished, whatever the JSON type of their id. */
async function users(stack, model) {
  const salts = new Map()
  const faults = []
  for (const [n, user] of [1, 2, '1', [1], { a: 1 }, true].entries()) {
    const id = `user${n}`
    const json = chatOf(model, 'nonce.k5.same the same words', { metadata: { user_id: user } })
    const { status } = await ask(stack, PATHS.messages, {
      method: 'POST',
      key: keyOf('k5'),
      headers: tag(id, 'k5'),
      json,
    })
    const { found } = await stack.upstream.ask({ want: 'find', id })
    if (status !== 200 || found === undefined) faults.push(`user ${JSON.stringify(user)}: status ${status}`)
    else if (salts.has(found.salt))
      faults.push(`users ${JSON.stringify(user)} and ${salts.get(found.salt)} share a salt`)
    else salts.set(found.salt, JSON.stringify(user))
  }
  return faults
}

async function quota(stack, model) {
  const headers = { ...tag('quota', 'small', 'attack-quota'), 'x-cwm-session': 'attack-quota', 'x-cwm-freeze': 'one' }
  const { status, text } = await ask(stack, PATHS.chat, {
    method: 'POST',
    key: keyOf('small'),
    headers,
    json: chatOf(model, 'nonce.small.quota'),
  })
  return status === 403 && text.includes('quota_exceeded') ? [] : [`${status} ${text.slice(0, 200)}`]
}

/** A failure that was just observed must show in health and readiness. */
async function engineGone(stack, model) {
  await stack.upstream.ask({ want: 'setOnline', server: 'engine', up: false })
  try {
    const headers = tag('gone', 'k0')
    const turn = await ask(stack, PATHS.chat, {
      method: 'POST',
      key: keyOf('k0'),
      headers,
      json: chatOf(model, 'nonce.k0.gone'),
    })
    const { text } = await ask(stack, '/cwm/readyz')
    const faults = turn.status === 502 || turn.status === 503 ? [] : [`a turn: ${turn.status}`]
    return JSON.parse(text).upstream?.ok === true ? [...faults, `readyz reports it healthy: ${text}`] : faults
  } finally {
    await stack.upstream.ask({ want: 'setOnline', server: 'engine', up: true })
    // The breaker, if open, tests the upstream after two seconds.
    await sleep(2_500)
  }
}
