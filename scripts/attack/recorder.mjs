// The oracle in front of the engine: inspects every request that arrives, and reports what cwm must not forward.

import { topLevelMembers } from './members.mjs'
import { ATTACK_WORD, STEERING, STEERING_HEADERS } from './steering-names.mjs'
import { readTag, TAG_HEADER } from './tag.mjs'

/** Requests that store KV under a salt. */
const SALTED = new Set(['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/messages'])
const SALT = /^[A-Za-z0-9_-]{43}$/
const TWICE = /-2$/
const FORBIDDEN_HEADERS = [
  ...STEERING_HEADERS.map((name) => name.toLowerCase()),
  'upgrade',
  'http2-settings',
  'proxy-authorization',
  'proxy-connection',
  'trailer',
  'expect',
]
const SHOWN = 20
/** Number of requests kept for scenarios. */
const KEPT = 500

export class Recorder {
  #mode
  /** The first user of each salt: `{ owner, group, link }`. */
  #salts = new Map()
  /** Groups of sessions and users that may share a salt, as a union-find forest. */
  #groups = new Map()
  #paths = new Map()
  #kept = []
  #faults = []
  #faultCount = 0
  #salted = 0

  /** `mode`: the isolation within a tenant, `session` or `user`. */
  constructor(mode) {
    this.#mode = mode
  }

  /** Inspects one request: `{ method, path, headers, body }` as they arrived. */
  see({ method, path, headers, body }) {
    const bare = path.split('?')[0]
    this.#paths.set(bare, (this.#paths.get(bare) ?? 0) + 1)
    const tag = readTag(headers[TAG_HEADER])
    if (tag?.owner === 'reference') return
    const fault = (message) => this.#fault(`${tag?.id ?? 'a request without a tag'} (${method} ${bare}): ${message}`)
    if (tag?.refused === true) fault('was to be refused and arrived')
    this.#checkHeaders(headers, fault)
    if (!SALTED.has(bare) || method !== 'POST') return
    this.#salted++
    if (tag === undefined && bare !== '/v1/completions') fault('nobody sent it')
    const seen = this.#checkBody(headers, body, fault)
    if (seen === undefined) return
    this.#kept.push({ id: tag?.id, ...seen })
    if (this.#kept.length > KEPT) this.#kept.shift()
    // Warm calls of freezes and thaws are made by cwm itself.
    if (tag !== undefined) this.#checkSharing(tag, seen, fault)
  }

  report() {
    return { salted: this.#salted, salts: this.#salts.size, faults: this.#faults, faultCount: this.#faultCount }
  }

  /** Number of requests that arrived on a path. */
  countOf(path) {
    return this.#paths.get(path) ?? 0
  }

  /** The recorded parts of the request with this id: salt, user fields, session ids as they arrived. */
  find(id) {
    return this.#kept.findLast((one) => one.id === id)
  }

  /** Some salts used by requests of an owner. */
  saltsOf(owner) {
    return [...this.#salts].filter(([, used]) => used.owner === owner).map(([salt]) => salt)
  }

  #checkHeaders(headers, fault) {
    for (const name of FORBIDDEN_HEADERS) if (headers[name] !== undefined) fault(`header ${name} arrived`)
    for (const name of Object.keys(headers)) if (name.startsWith('x-cwm-')) fault(`header ${name} arrived`)
    const connection = headers.connection ?? 'keep-alive'
    if (!/^(keep-alive|close)$/.test(connection)) fault(`a Connection header that cwm did not write: ${connection}`)
  }

  #checkBody(headers, body, fault) {
    // The engine writes it into its KV events.
    if (String(headers['x-session-id'] ?? '').includes(ATTACK_WORD)) fault('X-Session-ID arrived as the client sent it')
    if (headers['content-encoding'] !== undefined) return fault('the body is still encoded')
    let members
    try {
      members = topLevelMembers(body.toString('utf8'))
    } catch {
      return fault('the body is not a JSON object')
    }
    const salts = members.filter(([key]) => key === 'cache_salt')
    if (salts.length !== 1) return fault(`cache_salt occurs ${salts.length} times`)
    const json = Object.fromEntries(members.map(([key, text]) => [key, text]))
    const salt = parsed(json.cache_salt)
    if (typeof salt !== 'string' || !SALT.test(salt))
      return fault(`a salt that cwm did not derive: ${json.cache_salt.slice(0, 60)}`)
    for (const [key, text] of members) {
      if (STEERING.includes(key) && text !== 'null') fault(`field ${key} arrived`)
      if (key === 'session_id' && text.includes(ATTACK_WORD)) fault('session_id arrived as the client sent it')
    }
    return { salt, users: usersOf(json, headers), sessionId: json.session_id, sessionHeader: headers['x-session-id'] }
  }

  #checkSharing({ id, owner, session }, { salt, users }, fault) {
    // The same text sent twice may be a retry of the same conversation.
    const links = [session === '-' ? `request ${id.replace(TWICE, '')}` : `session ${session}`]
    if (this.#mode === 'user') links.push(...users.map((user) => `user ${user}`))
    // A session stays in the KV space of the user who started it, whoever names it later. So links that occur together are united.
    for (const link of links) this.#join(`${owner} ${links[0]}`, `${owner} ${link}`)
    const group = this.#groupOf(`${owner} ${links[0]}`)
    const used = this.#salts.get(salt)
    if (used === undefined) this.#salts.set(salt, { owner, group, link: links[0] })
    else if (used.owner !== owner) fault(`shares a salt with ${used.owner}: ${used.link}`)
    else if (this.#groupOf(used.group) !== group) fault(`shares a salt of its tenant with ${used.link}`)
  }

  #groupOf(link) {
    let group = link
    for (let next = this.#groups.get(group); next !== undefined; next = this.#groups.get(group)) group = next
    return group
  }

  #join(one, other) {
    const [a, b] = [this.#groupOf(one), this.#groupOf(other)]
    if (a !== b) this.#groups.set(b, a)
  }

  #fault(message) {
    this.#faultCount++
    if (this.#faults.length < SHOWN) this.#faults.push(message)
  }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** All users that a request names, distinguished by type. Which of them counts is up to cwm. */
function usersOf(json, headers) {
  const said = [json.safety_identifier, json.user, JSON.stringify(parsed(json.metadata ?? 'null')?.user_id)]
  const named = headers['x-openwebui-user-id']
  const texts = [...said, named === undefined ? undefined : JSON.stringify(named)].filter((text) => text !== undefined)
  return texts.map((text) => JSON.stringify(parsed(text))).filter((text) => text !== 'null' && text !== '""')
}
