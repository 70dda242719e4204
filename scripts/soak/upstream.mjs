// The upstream of the soak: answers each request by the script in its header, including faults, and passes all others to the simulated
// engine. It can simulate an outage: connections are refused, and open ones broken.

import { EventEmitter, once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorAnswer, jsonAnswer, streamEvents } from './answers.mjs'

const KEEP_ALIVE_MS = 60_000

export class ScriptedUpstream {
  #engineUrl
  #server
  #port = 0
  #watched = new Map()
  #outages = []

  constructor(engineUrl) {
    this.#engineUrl = engineUrl
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`
  }

  async start() {
    this.#server = createServer((request, response) => {
      const script = request.headers['x-soak']
      if (script === undefined) this.#forward(request, response)
      else this.#play(JSON.parse(script), request, response).catch(() => response.destroy())
    })
    // Much longer than cwm's own timeout: on a busy machine timers are late, and which side closes first is not tested here.
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = this.#server.address().port
  }

  async stop() {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  /**
   * Simulates an outage for this time, and until `meanwhile`, called halfway, has finished. Requests in flight, and those of the next
   * `aftermathMs`, may fail, but only visibly.
   */
  async beAway(ms, aftermathMs, meanwhile) {
    const outage = { from: performance.now(), to: Number.POSITIVE_INFINITY }
    this.#outages.push(outage)
    await this.stop()
    await sleep(ms / 2)
    await Promise.all([sleep(ms / 2), meanwhile()])
    await this.start()
    outage.to = performance.now() + aftermathMs
  }

  wasAway(from, to) {
    return this.#outages.some((outage) => from <= outage.to && to >= outage.from)
  }

  /**
   * Promises for the events of the request with this script: it started to arrive; it arrived completely; its connection was closed before the
   * end of its response.
   */
  watch(id) {
    const seen = new EventEmitter()
    this.#watched.set(id, seen)
    const [began, arrived, left] = ['began', 'arrived', 'left'].map((name) => once(seen, name))
    return { began, arrived, left, forget: () => this.#watched.delete(id) }
  }

  async #play(script, request, response) {
    const watched = this.#watched.get(script.id)
    watched?.emit('began')
    const parts = []
    for await (const bytes of request) parts.push(bytes)
    const withUsage = parts.length > 0 && Buffer.concat(parts).includes('"include_usage"')
    response.once('close', () => {
      if (!response.writableFinished) watched?.emit('left')
    })
    watched?.emit('arrived')
    if (script.fault === 'hold') return
    if (script.fault === 'die-before') response.socket.destroy()
    else if (script.status !== undefined) sendError(script, response)
    else if (script.answer === 'json') sendJson(script, response)
    else await sendStream(script, response, withUsage)
  }

  #forward(request, response) {
    const { method, url, headers } = request
    const onward = httpRequest(this.#engineUrl + url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    response.once('close', () => onward.destroy())
    request.pipe(onward)
  }
}

function sendError(script, response) {
  const body = errorAnswer(script)
  const headers = { 'content-type': 'application/json', 'content-length': body.length, 'retry-after': '7' }
  response.writeHead(script.status, headers).end(body)
}

function sendJson(script, response) {
  const body = jsonAnswer(script)
  const short = script.fault === 'short'
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length + (short ? 10 : 0) })
  if (!short) response.end(body)
  else response.write(body, () => response.socket.destroySoon())
}

async function sendStream(script, response, withUsage) {
  const { fault, paceMs = 0 } = script
  const events = streamEvents(script, withUsage)
  const at = fault === undefined ? events.length : script.at
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  response.flushHeaders()
  for (const event of events.slice(0, at)) {
    if (response.destroyed) return
    // If the client is gone, nobody waits for this.
    if (!response.write(event)) await once(response, 'drain')
    if (paceMs > 0) await sleep(paceMs)
  }
  if (fault === undefined) response.end()
  if (fault === 'die-in-event') response.write(events[at].subarray(0, events[at].length / 2))
  if (fault === 'die' || fault === 'die-in-event') response.socket.destroySoon()
}
