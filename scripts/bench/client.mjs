// One connection's closed loop: the next turn of its conversation goes out when the last one is answered, and every answer is judged.

import { headerOf } from './answer-reader.mjs'
import { jsonAnswer, streamAnswer } from './answers.mjs'
import { Connection } from './connection.mjs'
import { conversationOf } from './conversation.mjs'
import { isStream } from './scenarios.mjs'

/** Of nobody: a gateway that wants a key is given this one. */
export const API_KEY = 'sk-of-the-benchmark-0c6f1d7a94e84b5f'

const PATH = '/v1/chat/completions'
const RECONNECT_MS = 100
/** For each answer: a target that swallows one would hold the run for ever. */
const ANSWER_MS = 60_000
/** Each request of these opens a conversation of its own. */
const BEGINS_SESSIONS = new Set(['first', 'unknown'])
const LOOK_EVERY_MS = 1_000

// What an SDK sends beside its body.
const USUAL = {
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
  authorization: `Bearer ${API_KEY}`,
}

/**
 * `target`: its url, headers that it wants, whether it rewrites answers, and, if it has sessions, how it comes to the one of a request: the
 * client names it (`named`), its history leads to it (`prefix`), or each request begins one (`first`, `unknown`). `run`: another one has
 * other conversations. `answerMs`: for each answer, a minute unless told. `barrier`: what all connections wait at before each request.
 */
export class Client {
  #target
  #headers
  #conversation
  #expected
  #answerBytes
  #tally
  #connection
  #head
  #session
  #sentAt = 0
  #firstAt
  #isUnderWay = false
  #isStopped = false
  #onIdle = () => {}
  #answerMs
  #looks
  #beginsSessions
  #barrier

  constructor({ target, scenario, run, answerMs = ANSWER_MS }, index, tally, barrier) {
    const name = target.session === 'named' ? { 'x-cwm-session': `bench-${run}-${index}` } : {}
    this.#target = target
    this.#answerMs = answerMs
    this.#headers = { ...USUAL, ...target.headers, ...name }
    this.#beginsSessions = BEGINS_SESSIONS.has(target.session)
    this.#conversation = conversationOf(scenario, index, run, this.#beginsSessions ? target.session : undefined)
    this.#barrier = barrier
    this.#expected = isStream(scenario) ? streamAnswer : jsonAnswer
    this.#tally = tally
  }

  /**
   * Has the history answered that all turns go on from, if they do, and notes the session that it was given. Throws when the answer is not
   * the upstream's, byte for byte.
   */
  async deliver() {
    const first = this.#conversation.first ?? this.#conversation.next()
    const signal = AbortSignal.timeout(ANSWER_MS)
    const answer = await fetch(this.#target.url + PATH, { method: 'POST', headers: this.#headers, body: first, signal })
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (answer.status !== 200) throw new Error(`status ${answer.status}: ${bytes.subarray(0, 300)}`)
    if (!this.#target.rewrites && !bytes.equals(this.#expected)) {
      throw new Error('the answer is not what the upstream sent')
    }
    this.#answerBytes = bytes.length
    this.#session = sessionOf(answer.headers.get('x-cwm-session'))
    if (this.#beginsSessions && !this.#tally.begins(this.#session)) throw new Error(notNew(this.#session))
  }

  start() {
    if (this.#isStopped) return
    this.#connection = new Connection(this.#target.url, {
      onBody: (bytes) => this.#look(bytes),
      onEnd: (status, head, bytes) => this.#finish(status, head, bytes),
      onError: (error) => this.#lose(error),
    })
    // No timer for each request: it would be paid for by the load client.
    this.#looks ??= setInterval(() => this.#giveUp(), Math.min(LOOK_EVERY_MS, this.#answerMs))
    this.#proceed()
  }

  /** Resolves when nothing is under way any more. */
  async stop() {
    this.#isStopped = true
    if (this.#isUnderWay) await new Promise((resolve) => (this.#onIdle = resolve))
    clearInterval(this.#looks)
    this.#connection?.close()
  }

  /** Loses an answer that is overdue. */
  #giveUp() {
    if (!this.#isUnderWay || performance.now() - this.#sentAt < this.#answerMs) return
    this.#connection.close()
    this.#lose(new Error(`no answer within ${this.#answerMs} ms`))
  }

  #proceed() {
    if (this.#barrier === undefined) this.#next()
    else this.#barrier.wait(() => this.#next())
  }

  #next() {
    if (this.#isStopped) return
    const body = this.#conversation.next()
    this.#head ??= this.#headOf(body)
    this.#isUnderWay = true
    this.#firstAt = undefined
    this.#sentAt = performance.now()
    this.#connection.send(this.#head, body)
  }

  #look(bytes) {
    this.#firstAt ??= performance.now()
    this.#tally.see(bytes / this.#answerBytes)
  }

  /** Bodies of one connection are all of one size, so this is made once. */
  #headOf(body) {
    const all = { host: new URL(this.#target.url).host, ...this.#headers, 'content-length': body.length }
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
    return `POST ${PATH} HTTP/1.1\r\n${lines.join('')}\r\n`
  }

  #finish(status, head, bytes) {
    const at = performance.now()
    const fault = this.#faultOf(status, head, bytes)
    if (fault === undefined) this.#tally.add(at - this.#sentAt, this.#firstAt - this.#sentAt)
    else this.#tally.fail(fault)
    this.#isUnderWay = false
    if (this.#isStopped) this.#onIdle()
    else this.#proceed()
  }

  #faultOf(status, head, bytes) {
    if (status !== 200) return `status ${status}`
    if (this.#target.rewrites ? bytes === 0 : bytes !== this.#expected.length) {
      return `${bytes} bytes of body in place of ${this.#expected.length}`
    }
    const session = sessionOf(headerOf(head, 'x-cwm-session'))
    if (this.#beginsSessions) return this.#tally.begins(session) ? undefined : notNew(session)
    return session === this.#session ? undefined : `session ${session} in place of ${this.#session}`
  }

  #lose(error) {
    if (this.#isUnderWay) this.#tally.fail(error.message)
    this.#isUnderWay = false
    this.#onIdle()
    setTimeout(() => this.start(), RECONNECT_MS)
  }
}

const notNew = (session) => `session ${session} where a new one was to begin`

/** Heads are read in lower case. */
const sessionOf = (header) => header?.toLowerCase() ?? 'none'
