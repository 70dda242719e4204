// Lives one life: carries out actions on cwm, and compares every answer with the oracle's. What an engine should have received, the engine
// itself turns into ids.

import { actionOf } from './steps.mjs'
import { World } from './world.mjs'

const CHAT = '/v1/chat/completions'
const REPLY_TOKENS = 24
const FREEZE_MS = 20_000
const RESUME_MS = 90_000

/** A difference between what cwm did and what the oracle expected. `done`: all actions of this life; the last one failed. */
export class Fault extends Error {
  constructor(message, done) {
    super(message)
    this.done = done
  }
}

export class Life {
  world = new World()
  /** Every action so far. */
  done = []
  /** How often what was done, for the report. */
  counts = new Map()
  #cwm
  #engine
  #prefix

  /** `cwm`: `{ request(method, path, body, headers), restart() }`. `prefix`: of all names on the wire, so that lives can share one cwm. */
  constructor(cwm, engine, prefix) {
    this.#cwm = cwm
    this.#engine = engine
    this.#prefix = prefix
  }

  /** Takes step `n`, if it makes sense in this world. Throws `Fault`. */
  async step(drawn, n) {
    const action = actionOf(this.world, drawn, n)
    if (action !== undefined) await this.act(action)
  }

  /** Carries out an action. Throws `Fault`. */
  async act(action) {
    this.done.push(action)
    const what = action.act === 'turn' ? `turn ${action.style}` : action.act
    this.#count(what)
    try {
      await this[`_${action.act}`](action)
    } catch (error) {
      throw new Fault(`${JSON.stringify(action)}: ${error.message}`, this.done)
    }
  }

  /** Every window and every session is as it should be at the end. */
  async rollCall() {
    let n = 0
    const ask = () => ({ act: 'turn', style: 'new', question: `Last question ${n++} of this life?` })
    for (const window of [...this.world.windows.keys()])
      await this.act({ ...ask(), session: `last-${n}`, thaw: window })
    for (const session of [...this.world.sessions.keys()]) await this.act({ ...ask(), session })
  }

  async _turn(action) {
    const expected = this.world.expectTurn(action)
    const { session, thaw, freeze } = action
    const headers = {
      'x-cwm-session': this.#wire(session),
      ...(thaw === undefined ? {} : { 'x-cwm-window': this.#wire(thaw) }),
      ...(freeze === undefined ? {} : { 'x-cwm-freeze': this.#wire(freeze) }),
    }
    const sampling = { max_tokens: REPLY_TOKENS, temperature: 0, return_token_ids: true }
    const body = { model: this.#engine.model, messages: expected.messages, ...sampling }
    const answer = await this.#cwm.request('POST', CHAT, body, headers)
    if (this.#isRefusal(answer, expected)) return this.world.refused(action)
    const { choices, usage, prompt_token_ids: ids } = answer.json
    checkIds(await this.#engine.idsOf(expected.prompt), ids, usage.prompt_tokens)
    if (freeze !== undefined) this.#count('freeze by header')
    if (thaw !== undefined) this.#count('thaw by header')
    this.world.turned(action, expected, choices[0].message.content ?? '')
  }

  async _freeze(action) {
    const json = { name: this.#wire(action.window), session_id: this.#wire(action.session) }
    const answer = await this.#rest('POST', '/windows', json)
    if (this.#isRefusal(answer, this.world.expectFreeze(action))) return
    checkFrozen(answer.json)
    this.world.froze(action)
  }

  async _thaw(action) {
    const json = { session_id: this.#wire(action.session), replace: true }
    const answer = await this.#rest('POST', `/windows/${this.#wire(action.window)}/thaw`, json)
    if (!this.#isRefusal(answer, this.world.expectThaw(action))) this.world.thawed(action)
  }

  async _clone(action) {
    const json = { name: this.#wire(action.window), ...(action.at === undefined ? {} : { at: action.at }) }
    const answer = await this.#rest('POST', `/windows/${this.#wire(action.source)}/clone`, json)
    if (this.#isRefusal(answer, this.world.expectClone(action))) return
    checkFrozen(answer.json)
    this.world.cloned(action)
  }

  async _make(action) {
    const json = { model: this.#engine.model, messages: action.messages }
    const answer = await this.#rest('PUT', `/windows/${this.#wire(action.window)}`, json)
    if (this.#isRefusal(answer, this.world.expectMake(action))) return
    checkFrozen(answer.json)
    this.world.made(action)
  }

  async _delete(action) {
    const expected = this.world.expectDelete(action)
    if (this.world.isHeld(action.window)) this.#count('delete under a session')
    const answer = await this.#rest('DELETE', `/windows/${this.#wire(action.window)}`)
    if (!this.#isRefusal(answer, expected)) this.world.deleted(action)
  }

  async _end(action) {
    const expected = this.world.expectEnd(action)
    const answer = await this.#rest('DELETE', `/sessions/${this.#wire(action.session)}`)
    const isLost = expected.mayFail !== undefined && answer.json.error?.code === expected.mayFail
    if (isLost || !this.#isRefusal(answer, expected)) this.world.ended(action)
  }

  /** Kills cwm by SIGKILL and starts it again. A freeze that was pending has not begun, or is completed. */
  async _restart() {
    await this.#cwm.restart()
    for (const window of this.world.restarted()) {
      const { status, json } = await this.#settled(this.#wire(window))
      if (status !== 404 && json.state !== 'frozen' && json.state !== 'failed')
        throw new Error(`window ${window} after the restart: ${status} ${JSON.stringify(json).slice(0, 300)}`)
      this.world.settled(window, status === 200 && json.state === 'frozen')
    }
  }

  /** Over Redis, the lease of the killed process expires first, and the reconciler takes the freeze up after that. */
  async #settled(name) {
    for (const end = performance.now() + RESUME_MS; ; ) {
      const answer = await this.#rest('GET', `/windows/${name}?wait_ms=${FREEZE_MS}`)
      if (answer.json.state !== 'freezing' || performance.now() > end) return answer
    }
  }

  #rest(method, path, json) {
    return this.#cwm.request(method, `/cwm/v1${path}`, json)
  }

  #wire(name) {
    return `${this.#prefix}-${name}`
  }

  #count(what) {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  /** Whether the action was rejected as expected. Throws if it should have been and was not, or the other way round. */
  #isRefusal({ status, json }, { codes }) {
    const code = json.error?.code
    const got = `${status} ${JSON.stringify(json).slice(0, 400)}`
    if (codes === undefined) {
      if (status < 200 || status > 299) throw new Error(`expected a success, got ${got}`)
      return false
    }
    if (!codes.includes(code)) throw new Error(`expected the error ${codes.join(' or ')}, got ${got}`)
    this.#count('refused')
    return true
  }
}

function checkFrozen({ state, reason }) {
  if (state !== 'frozen') throw new Error(`the window is ${state}: ${reason}`)
}

/** The prompt that the engine received must be the expected one, token by token. */
export function checkIds(expected, ids, count) {
  if (count !== expected.length) throw new Error(`the prompt had ${count} tokens, not ${expected.length}`)
  if (!Array.isArray(ids)) throw new Error('the engine did not return the ids of the prompt')
  const at = expected.findIndex((id, i) => id !== ids[i])
  if (at !== -1 || ids.length !== expected.length) throw new Error(`the prompt differs from token ${at} on`)
}
