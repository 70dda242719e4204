// The closed loop of one connection: it sends the next turn once the previous one is answered, and checks every answer.

import { headerOf } from './answer-reader.mjs'
import { jsonAnswer, streamAnswer } from './answers.mjs'
import { Connection } from './connection.mjs'
import { conversationOf } from './conversation.mjs'
import { isStream } from './scenarios.mjs'
import { keysOf } from './tenants.mjs'

/** A made-up key for gateways that require one. */
export const API_KEY = 'sk-of-the-benchmark-0c6f1d7a94e84b5f'

const PATH = '/v1/chat/completions'
const RECONNECT_MS = 100
/** Timeout of each answer. Without it, a target that never answers would block the run. */
const ANSWER_MS = 60_000
/** Targets for which each request starts a conversation. */
const STARTS_SESSIONS = new Set(['first', 'unknown'])
const TIMEOUT_CHECK_MS = 1_000

// Headers that an SDK sends.
const SDK_HEADERS = {
  accept: 'application/json',
  'content-type': 'application/json',
  'user-agent': 'OpenAI/JS 6.49.0',
  'x-stainless-lang': 'js',
  'x-stainless-package-version': '6.49.0',
  'x-stainless-os': 'Linux',
  'x-stainless-arch': 'x64',
  'x-stainless-runtime': 'node',
  'x-stainless-runtime-version': 'v22.0.0',
  'x-stainless-retry-count': '0',
}

/**
 * `target`: its URL, required headers, whether it rewrites answers, and, if it has sessions, how it finds one: by the client's name
 * (`named`), by its history (`prefix`), or by starting one per request (`first`, `unknown`). `target.tenants`: how many tenants' keys take
 * turns; each has its own session of the same conversation. `run`: each run has its own conversations.
 * `answerMs`: timeout of an answer, by default a minute. `barrier`: all connections wait at it before each request.
 */
export class Client {
  #target
  #headers
  #conversation
  #expected
  #answerBytes
  #tally
  #connection
  #keys
  /** Of each key. */
  #heads = []
  #sessions = []
  /** The number of the key whose turn it is. */
  #key = -1
  #sentAt = 0
  #firstAt
  #isPending = false
  #isStopped = false
  #onIdle = () => {}
  #answerMs
  #timeoutCheck
  #startsSessions
  #barrier

  constructor({ target, scenario, run, answerMs = ANSWER_MS }, index, tally, barrier) {
    const name = target.session === 'named' ? { 'x-cwm-session': `bench-${run}-${index}` } : {}
    this.#target = target
    this.#answerMs = answerMs
    this.#headers = { ...SDK_HEADERS, ...target.headers, ...name }
    this.#keys = target.tenants === undefined ? [API_KEY] : keysOf(index, scenario.connections, target.tenants)
    this.#startsSessions = STARTS_SESSIONS.has(target.session)
    this.#conversation = conversationOf(scenario, index, run, this.#startsSessions ? target.session : undefined)
    this.#barrier = barrier
    this.#expected = isStream(scenario) ? streamAnswer : jsonAnswer
    this.#tally = tally
  }

  /**
   * Sends the history that all later turns continue, if there is one, and remembers its sessions. Throws unless the answer equals the
   * upstream's, byte for byte.
   */
  async deliver() {
    for (const key of this.#keys) this.#sessions.push(await this.#deliverFor(key))
  }

  async #deliverFor(key) {
    const body = this.#conversation.first ?? this.#conversation.next()
    const signal = AbortSignal.timeout(ANSWER_MS)
    const headers = this.#headersFor(key)
    const answer = await fetch(this.#target.url + PATH, { method: 'POST', headers, body, signal })
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (answer.status !== 200) throw new Error(`status ${answer.status}: ${bytes.subarray(0, 300)}`)
    if (!this.#target.rewrites && !bytes.equals(this.#expected)) {
      throw new Error("the answer differs from the upstream's")
    }
    this.#answerBytes = bytes.length
    const session = sessionOf(answer.headers.get('x-cwm-session'))
    if (this.#startsSessions && !this.#tally.isNewSession(session)) throw new Error(notNew(session))
    return session
  }

  start() {
    if (this.#isStopped) return
    this.#connection = new Connection(this.#target.url, {
      onBody: (bytes) => this.#countBody(bytes),
      onEnd: (status, head, bytes) => this.#finish(status, head, bytes),
      onError: (error) => this.#fail(error),
    })
    // One interval for all answers: a timer per request would use CPU of the load client.
    this.#timeoutCheck ??= setInterval(() => this.#checkTimeout(), Math.min(TIMEOUT_CHECK_MS, this.#answerMs))
    this.#proceed()
  }

  /** Resolves when no request is in progress. */
  async stop() {
    this.#isStopped = true
    if (this.#isPending) await new Promise((resolve) => (this.#onIdle = resolve))
    clearInterval(this.#timeoutCheck)
    this.#connection?.close()
  }

  /** Fails an answer that is overdue. */
  #checkTimeout() {
    if (!this.#isPending || performance.now() - this.#sentAt < this.#answerMs) return
    this.#connection.close()
    this.#fail(new Error(`no answer within ${this.#answerMs} ms`))
  }

  #proceed() {
    if (this.#barrier === undefined) this.#next()
    else this.#barrier.wait(() => this.#next())
  }

  #next() {
    if (this.#isStopped) return
    const body = this.#conversation.next()
    this.#key = (this.#key + 1) % this.#keys.length
    this.#heads[this.#key] ??= this.#headOf(body)
    this.#isPending = true
    this.#firstAt = undefined
    this.#sentAt = performance.now()
    this.#connection.send(this.#heads[this.#key], body)
  }

  #countBody(bytes) {
    this.#firstAt ??= performance.now()
    this.#tally.count(bytes / this.#answerBytes)
  }

  #headersFor(key) {
    return { authorization: `Bearer ${key}`, ...this.#headers }
  }

  /** All bodies of a connection have the same size, so this is built once per key. */
  #headOf(body) {
    const all = {
      host: new URL(this.#target.url).host,
      ...this.#headersFor(this.#keys[this.#key]),
      'content-length': body.length,
    }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    return `POST ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n`
  }

  #finish(status, head, bytes) {
    const at = performance.now()
    const error = this.#errorOf(status, head, bytes)
    if (error === undefined) this.#tally.add(at - this.#sentAt, this.#firstAt - this.#sentAt)
    else this.#tally.fail(error)
    this.#isPending = false
    if (this.#isStopped) this.#onIdle()
    else this.#proceed()
  }

  #errorOf(status, head, bytes) {
    if (status !== 200) return `status ${status}`
    if (this.#target.rewrites ? bytes === 0 : bytes !== this.#expected.length) {
      return `a body of ${bytes} bytes instead of ${this.#expected.length}`
    }
    const session = sessionOf(headerOf(head, 'x-cwm-session'))
    if (this.#startsSessions) return this.#tally.isNewSession(session) ? undefined : notNew(session)
    const expected = this.#sessions[this.#key]
    return session === expected ? undefined : `session ${session} instead of ${expected}`
  }

  #fail(error) {
    if (this.#isPending) this.#tally.fail(error.message)
    this.#isPending = false
    this.#onIdle()
    setTimeout(() => this.start(), RECONNECT_MS)
  }
}

const notNew = (session) => `session ${session} instead of a new one`

/** `AnswerReader` converts heads to lower case. */
const sessionOf = (header) => header?.toLowerCase() ?? 'none'
