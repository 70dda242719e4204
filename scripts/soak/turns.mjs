// Sessions as clients have them: one to three turns, each by a plan, and then abandoned. Every answer is verified.

import { setTimeout as sleep } from 'node:timers/promises'
import { MODEL, promptText, replyText } from './answers.mjs'
import { exchange } from './exchange.mjs'
import { truthful } from './turn-plans.mjs'

export const KEY = 'Bearer soak-client-key'
/** How soon the upstream must notice that a client has left. */
const DEPARTURE_MS = 10_000
/** How long to wait for an incomplete request, which must not reach the upstream. */
const FORWARD_MS = 1_000
const SYSTEM = { role: 'system', content: promptText('You keep the log of a mountain station', 400) }
const BIG_MESSAGES = 400
const BIG_BYTES = 512 * 1024

export class Turns {
  #url
  #upstream
  #agent
  #tally

  constructor({ url, upstream, agent, tally }) {
    this.#url = url
    this.#upstream = upstream
    this.#agent = agent
    this.#tally = tally
  }

  /** Runs a session with one plan per turn. It ends early if a turn leaves nothing to continue from. */
  async session(id, { named, big = false, asksUsage = false, thinkMs = 0 }, plans) {
    const messages = [SYSTEM, ...(big ? bigHistory(id) : [{ role: 'user', content: promptText(id, 600) }])]
    let known
    for (const [n, plan] of plans.entries()) {
      const script = { id: `${id}.${n}`, ...plan.script }
      const session = await this.#turn({ plan, script, messages, asksUsage, name: named ? id : undefined, known })
      if (!plan.goesOn || session === undefined) return
      known = session
      messages.push({ role: 'assistant', content: replyText(script) }, { role: 'user', content: promptText(id, 200) })
      await sleep(thinkMs)
    }
  }

  /** Returns the session id that cwm reported, if the answer was correct. `known`: the id that it must report. */
  async #turn(turn) {
    const { plan, script, messages, asksUsage, name, known } = turn
    const stream = script.answer === 'stream' ? { stream: true } : {}
    const usage = asksUsage && stream.stream ? { stream_options: { include_usage: true } } : {}
    const request = {
      agent: this.#agent,
      headers: {
        authorization: KEY,
        'content-type': 'application/json',
        'x-soak': JSON.stringify(script),
        ...(name === undefined ? {} : { 'x-cwm-session': name }),
      },
      body: JSON.stringify({ model: MODEL, messages, ...stream, ...usage }),
      slow: plan.slow,
    }
    const from = performance.now()
    const { outcome, wrong } = await this.#send(request, plan, script)
    const session = outcome.headers['x-cwm-session']
    const disturbed = this.#upstream.wasAway(from, performance.now())
    const fault = disturbed
      ? truthful(turn, outcome)
      : (plan.judge(turn, outcome) ?? wrong ?? otherSession(plan, known, session))
    this.#tally.count(disturbed ? 'while the upstream was away' : plan.name, fault)
    return fault === undefined && outcome.status === 200 && outcome.complete ? session : undefined
  }

  async #send(request, { leave }, { id }) {
    const url = `${this.#url}/v1/chat/completions`
    if (leave === undefined) return { outcome: await exchange(url, request) }
    const watched = this.#upstream.watch(id)
    if (leave === 'sending') {
      const outcome = await exchange(url, { ...request, half: true })
      const sent = await Promise.race([watched.began.then(() => true), sleep(FORWARD_MS, false, { ref: false })])
      watched.forget()
      return { outcome, wrong: sent ? 'the upstream was sent half a request' : undefined }
    }
    const gone = new AbortController()
    if (leave === 'prefill') watched.arrived.then(() => gone.abort())
    const leaving = { signal: gone.signal, leaveWhen: leave === 'stream' ? (parts) => parts.length > 0 : undefined }
    const outcome = await exchange(url, { ...request, ...leaving })
    const seen = await Promise.race([watched.left.then(() => true), sleep(DEPARTURE_MS, false, { ref: false })])
    watched.forget()
    return { outcome, wrong: seen ? undefined : 'the upstream did not see the client leave' }
  }
}

function otherSession(plan, known, session) {
  if (!plan.goesOn || known === undefined || session === known) return undefined
  return 'the turn was taken for another session'
}

function bigHistory(id) {
  return Array.from({ length: BIG_MESSAGES - 1 }, (_, n) => ({
    role: n % 2 === 0 ? 'user' : 'assistant',
    content: promptText(`${id}, message ${n}`, BIG_BYTES / BIG_MESSAGES - 100),
  }))
}
