// Two honest tenants, in a process of their own. Their answers must equal the engine's; second turns must be warm and first turns cold,
// whatever attackers do meanwhile. Started as `node honest-tenants.mjs CWM ENGINE MODEL KEYS`; reports over IPC.

import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { HONEST_MARK, TAG_HEADER, tagOf } from './tag.mjs'

const [, , cwmUrl, engineUrl, model, keys] = process.argv
const PAUSE_MS = 20
const SHOWN = 10
/** Tokens per block of the simulated engine's cache. */
const BLOCK = 16
const WINDOW = 'honest-window'
const SESSION = 'honest-main'
const FREEZE_MS = 20_000

const faults = []
let faultCount = 0
let turns = 0
let latencies = []
let stopped = false

function fault(message) {
  faultCount++
  if (faults.length < SHOWN) faults.push(message)
}

const CHAT = '/v1/chat/completions'
// The same for every conversation, so it is warm only if sessions are not isolated.
const SYSTEM = `You keep the harbor log. ${'The tide table hangs beside the lantern in the morning room. '.repeat(12)}`

const questionOf = (name, n) => [
  { role: 'system', content: SYSTEM },
  { role: 'user', content: `The code word of ${name} number ${n} is ${HONEST_MARK}-${name}-${n}.` },
]

async function post(url, tag, key, body, headers = {}) {
  const sent = {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${key}`,
      [TAG_HEADER]: tagOf(tag),
      ...headers,
    },
    body: JSON.stringify({ model, max_tokens: 64, ...body }),
  }
  const answer = await fetch(`${url}${CHAT}`, sent)
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

const parseAnswer = (text) => {
  const { choices, usage } = JSON.parse(text)
  return { content: choices[0].message.content, cached: usage.prompt_tokens_details?.cached_tokens ?? 0 }
}

const streamed = (text) => {
  const events = text.split('\n\n').filter((event) => event.startsWith('data: ') && event !== 'data: [DONE]')
  const chunks = events.map((event) => JSON.parse(event.slice(6)))
  const content = chunks.map(({ choices }) => choices[0]?.delta?.content ?? '').join('')
  return {
    content,
    cached: chunks.at(-1).usage?.prompt_tokens_details?.cached_tokens ?? 0,
    whole: text.trimEnd().endsWith('[DONE]'),
  }
}

class Tenant {
  #name
  #key
  #turn = 0

  constructor(name, key) {
    this.#name = name
    this.#key = key
  }

  /** A window that must be the same at the end as at the start. */
  async prepare() {
    await this.#ask(questionOf(this.#name, 'window'), { 'x-cwm-session': SESSION, 'x-cwm-freeze': WINDOW }, SESSION)
    for (const end = performance.now() + FREEZE_MS; performance.now() < end; await sleep(50)) {
      const window = await this.#rest(`/windows/${WINDOW}`)
      if (window.status === 200 && JSON.parse(window.text).state === 'frozen') break
    }
    this.exported = await this.#digest()
  }

  async check() {
    if ((await this.#digest()) !== this.exported) fault(`${this.#name}: its window has changed`)
    const { status, text } = await this.#rest('/sessions')
    if (status !== 200 || text.includes('attack-')) fault(`${this.#name}: sees sessions of attackers`)
  }

  async converse() {
    const n = this.#turn++
    const named = n % 3 === 0 ? { 'x-cwm-session': `honest-${n}` } : {}
    const session = `conversation-${n}`
    const first = questionOf(this.#name, n)
    const said = await this.#ask(first, named, session)
    if (said === undefined) return
    if (said.cached !== 0) fault(`${this.#name}: ${said.cached} tokens of a new conversation were cached`)
    const second = [
      ...first,
      { role: 'assistant', content: said.content },
      { role: 'user', content: `What is the code word of ${this.#name} number ${n}?` },
    ]
    const again = await this.#ask(second, named, session, n % 2 === 0)
    if (again === undefined) return
    if (again.cached < 2 * BLOCK) fault(`${this.#name}: ${again.cached} tokens of a second turn were cached`)
    if (!again.content.includes(`${HONEST_MARK}-${this.#name}-${n}`))
      fault(`${this.#name}: was told ${again.content.slice(0, 200)}`)
  }

  /** Sends a turn through cwm, and the same to the engine directly. */
  async #ask(messages, headers, session, stream = false) {
    const id = `h${this.#name}-${this.#turn}-${messages.length}`
    const began = performance.now()
    const how = stream ? { stream: true, stream_options: { include_usage: true } } : {}
    const got = await post(cwmUrl, { id, owner: this.#name, session }, this.#key, { messages, ...how }, headers)
    latencies.push(performance.now() - began)
    turns++
    // Sent to the engine directly, under its own salt.
    const body = { messages, cache_salt: `reference-${id}` }
    const reference = await post(engineUrl, { id, owner: 'reference' }, this.#key, body)
    if (got.status !== 200) {
      fault(`${this.#name}: status ${got.status}: ${got.text.slice(0, 200)}`)
      return undefined
    }
    const answer = stream ? streamed(got.text) : parseAnswer(got.text)
    if (answer.whole === false) fault(`${this.#name}: a stream that does not end`)
    if (answer.content !== parseAnswer(reference.text).content)
      fault(`${this.#name}: a different answer than the engine's: ${answer.content.slice(0, 200)}`)
    return answer
  }

  async #rest(path) {
    const answer = await fetch(`${cwmUrl}/cwm/v1${path}`, { headers: { authorization: `Bearer ${this.#key}` } })
    return { status: answer.status, text: await answer.text() }
  }

  async #digest() {
    const { status, text } = await this.#rest(`/windows/${WINDOW}/export`)
    return `${status} ${createHash('sha256').update(text).digest('hex')}`
  }
}

const tenants = Object.entries(JSON.parse(keys)).map(([name, key]) => new Tenant(name, key))

async function live(tenant) {
  while (!stopped) {
    await tenant.converse().catch((error) => fault(`${error.message} ${error.cause?.message ?? ''}`))
    await sleep(PAUSE_MS)
  }
}

/** Durations of the turns since the last call, milliseconds, sorted. */
function takeLatencies() {
  const taken = latencies.sort((a, b) => a - b)
  latencies = []
  return taken
}

let lives = []
const answers = {
  async prepare() {
    for (const tenant of tenants) await tenant.prepare()
    lives = tenants.map(live)
    return {}
  },
  latencies: () => ({ latencies: takeLatencies() }),
  async stop() {
    stopped = true
    await Promise.all(lives)
    for (const tenant of tenants) await tenant.check()
    return { latencies: takeLatencies(), turns, faults, faultCount }
  },
}

process.on('message', async ({ want }) => process.send(await answers[want]()))
process.on('disconnect', () => process.exit())
