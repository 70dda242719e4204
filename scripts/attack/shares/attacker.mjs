// The attacker's process: runs one attack. Started as `node attacker.mjs PORT MODEL NAME`; asked over IPC to prepare and to run.

import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { setPriority } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { ATTACKER } from './addresses.mjs'
import { attacks } from './attacks.mjs'

const [, , port, model, name] = process.argv
const REOPEN_MS = 50
const DRIP_MS = 500
const REQUEST_MS = 30_000
/** The honest tenant and the engine share a core with the attacker, whose work must not be what delays them. */
const NICENESS = 10

class Attacker {
  model = model
  /** What an attack prepared to send. */
  body
  /** How often each status was answered; `closed` and `open` for connections without an answer. */
  counts = new Map()
  #until = 0
  #agent = new Agent({ keepAlive: true })

  begin(seconds) {
    this.counts.clear()
    this.#until = performance.now() + seconds * 1000
  }

  /** Closes the connections that are still open. */
  end() {
    this.#agent.destroy()
  }

  get #isOver() {
    return performance.now() > this.#until
  }

  /** Sends one request after another in each of `count` lanes. `send(n)`: n is never repeated. */
  async lanes(count, send) {
    let next = 1
    const lane = async () => {
      while (!this.#isOver) await send(next++)
    }
    await Promise.all(Array.from({ length: count }, lane))
  }

  /** Sends a request and reads its answer. Never rejects. */
  send(method, path, { key, json, body = json && JSON.stringify(json), headers = {} }) {
    const length =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const options = { host: '127.0.0.1', port, method, path, agent: this.#agent, timeout: REQUEST_MS }
    return new Promise((resolve) => {
      const end = (what) => {
        this.#count(what)
        resolve(what)
      }
      const request = httpRequest({ ...options, headers: { ...headersOf(key), ...length, ...headers } }, (response) => {
        response.resume()
        response.once('close', () => end(String(response.statusCode)))
      })
      request.once('timeout', () => request.destroy())
      request.once('error', () => end('closed'))
      request.end(body)
    })
  }

  /** Keeps `count` connections open, each with the request that `make(n)` describes, and opens a new one where cwm closes one. */
  async hold(count, make) {
    const open = new Set()
    const place = async (n) => {
      while (!this.#isOver) {
        const socket = this.#open(make(n))
        open.add(socket)
        await new Promise((resolve) => socket.once('close', resolve))
        open.delete(socket)
        if (!this.#isOver) await sleep(REOPEN_MS)
      }
    }
    const all = Promise.all(Array.from({ length: count }, (_, n) => place(n)))
    await sleep(Math.max(0, this.#until - performance.now()))
    for (const socket of open) {
      this.#count('open')
      socket.destroy()
    }
    await all
  }

  #open({ method, path, key, headers = {}, json, isUnread = false, drips = false }) {
    const body = json === undefined ? '' : JSON.stringify(json)
    const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) }
    const lines = Object.entries({ ...headersOf(key), 'content-type': 'application/json', ...length, ...headers })
    const socket = connect({ host: '127.0.0.1', port })
    let dripping
    socket.on('error', () => {})
    socket.once('connect', () => {
      const head = lines.map(([header, value]) => `${header}: ${value}\r\n`).join('')
      socket.write(`${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${head}\r\n${body}`)
      if (drips) dripping = setInterval(() => socket.write(' '), DRIP_MS)
    })
    if (isUnread) socket.pause()
    else socket.once('data', (bytes) => this.#count(/^HTTP\/1\.1 (\d+)/.exec(bytes.toString('latin1'))?.[1] ?? 'odd'))
    if (!isUnread) socket.resume()
    socket.once('close', () => clearInterval(dripping))
    return socket
  }

  #count(what) {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}

const headersOf = (key) => ({ authorization: `Bearer ${key}`, 'x-forwarded-for': ATTACKER })

setPriority(NICENESS)
const attack = attacks.find((one) => one.name === name)
const attacker = new Attacker()
const answers = {
  async prepare() {
    await attack.prepare?.(attacker)
    return {}
  },
  async run({ seconds }) {
    attacker.begin(seconds)
    await attack.run(attacker)
    attacker.end()
    return { counts: [...attacker.counts] }
  },
}
process.on('message', async (message) => process.send(await answers[message.want](message)))
process.on('disconnect', () => process.exit())
