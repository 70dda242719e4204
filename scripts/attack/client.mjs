// A client on a raw socket. It can send what Node's client would not, as slow or as broken as the plan says, and reads the responses.

import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { AnswerParser } from './answers.mjs'
import { bytesOf } from './plan.mjs'

/** After this time a plan counts as unanswered. It is longer than all of cwm's timeouts in an attack. */
export const DEADLINE_MS = 20_000
/** How long a client that does not read stays connected. */
const UNREAD_MS = 300

export class Client {
  #port
  /** An idle connection that the last exchange left open, if any. */
  #idle

  constructor(port) {
    this.#port = port
  }

  /**
   * Executes a plan. Never rejects. Resolves with `{ answers, interim, closed, timedOut, fault }`, where `fault` describes bytes that are
   * not a valid response.
   */
  async exchange(plan) {
    const reused = this.#idle !== undefined && plan.delivery.kind === 'whole'
    const socket = reused ? this.#idle : connectTo(this.#port)
    if (reused) this.#idle = undefined
    const talk = new Talk(socket, plan, this.#port)
    const outcome = await talk.run()
    // cwm closed the connection while it was idle, which it may.
    if (reused && outcome.closed && outcome.answers.length === 0 && outcome.interim === 0) return this.exchange(plan)
    if (this.#idle === undefined && talk.isReusable(outcome)) this.#idle = socket
    else socket.destroy()
    return outcome
  }

  close() {
    this.#idle?.destroy()
    this.#idle = undefined
  }
}

function connectTo(port) {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  // The `close` event that follows is handled elsewhere.
  socket.on('error', () => {})
  return socket
}

class Talk {
  #socket
  #plan
  #bytes
  #parser
  #fault
  #closed = false
  #isSent = false
  #over
  #done

  constructor(socket, plan, port) {
    this.#socket = socket
    this.#plan = plan
    this.#bytes = bytesOf(plan, port)
    this.#parser = new AnswerParser((n) => n === 0 && plan.method === 'HEAD')
    this.#done = new Promise((resolve) => {
      this.#over = resolve
    })
  }

  async run() {
    const socket = this.#socket
    const onData = (bytes) => this.#read(bytes)
    const onClose = () => {
      this.#closed = true
      this.#parser.end()
      this.#over()
    }
    socket.on('data', onData)
    socket.once('close', onClose)
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      this.#over()
    }, DEADLINE_MS)
    this.#send().catch(() => {})
    await this.#done
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('close', onClose)
    const { answers, interim, isWithin } = this.#parser
    return { answers, interim, isWithin, closed: this.#closed, timedOut, fault: this.#fault }
  }

  /** Whether the next request may use the same connection. */
  isReusable({ answers, closed, timedOut, fault }) {
    const { broken, tail, delivery } = this.#plan
    const said = String(answers.at(-1)?.headers.connection ?? '').toLowerCase()
    const isWhole = this.#isSent && !closed && !timedOut && fault === undefined
    return isWhole && !broken && tail === undefined && delivery.kind === 'whole' && said === 'keep-alive'
  }

  #read(bytes) {
    try {
      this.#parser.read(bytes)
    } catch (error) {
      this.#fault = error.message
      this.#over()
      return
    }
    if (this.#parser.answers.length >= this.#plan.answers) this.#over()
  }

  async #send() {
    const { kind, pieces = 1, gapMs = 0, share = 1 } = this.#plan.delivery
    const socket = this.#socket
    if (socket.connecting) await once(socket, 'connect')
    const until = Math.floor(this.#bytes.length * share)
    const size = Math.max(1, Math.ceil(until / pieces))
    for (let at = 0; at < until && !socket.destroyed; at += size) {
      if (at > 0) await sleep(gapMs)
      if (!socket.write(this.#bytes.subarray(at, Math.min(until, at + size)))) await drained(socket)
    }
    this.#isSent = true
    if (kind === 'half-close') socket.end()
    if (kind === 'unread') {
      socket.pause()
      await sleep(UNREAD_MS)
    }
    if (kind === 'reset' || kind === 'unread') {
      socket.resetAndDestroy()
      this.#over()
    }
  }
}

/** Resolves when the socket drains or closes. */
async function drained(socket) {
  await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {})
}
