// The mock upstream, a separate process: answers chats with precomputed bytes, and the other requests that cwm and peers make to an
// engine. Started as `node upstream.mjs PORT`. Each event of a stream is written separately, immediately or one per 2 ms; in bursts 20
// events are one write.

import { createServer } from 'node:http'
import { BURST_MODEL, deltaEvents, doneEvent, jsonAnswer, MODELS, PACED_MODEL, usageEvent } from './answers.mjs'

const PACE_MS = 2
/** Bursts measure the start of streams, so the remaining events leave most of the proxy's core idle. */
const BURST_PACE_MS = 10
const BURST_EVENTS = 20
/** Larger bodies never request streams here, so they are not searched. */
const MAX_SEARCHED_BYTES = 64 * 1024

/** The events after the first one, grouped by write. */
function writesOf(eventsPerWrite) {
  const rest = deltaEvents.slice(1)
  const count = Math.ceil(rest.length / eventsPerWrite)
  return Array.from({ length: count }, (_, n) =>
    Buffer.concat(rest.slice(n * eventsPerWrite, (n + 1) * eventsPerWrite)),
  )
}

/** Streams that advance together, as those of one engine do: each step writes once to every stream. The first event is written at once. */
class Steps {
  #streams = new Set()
  #writes
  #schedule
  #running = false

  constructor(eventsPerWrite, schedule) {
    this.#writes = writesOf(eventsPerWrite)
    this.#schedule = schedule
  }

  add(response, withUsage) {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    response.write(deltaEvents[0])
    const stream = { response, withUsage, next: 0, full: false }
    this.#streams.add(stream)
    response.on('drain', () => (stream.full = false))
    response.once('close', () => this.#streams.delete(stream))
    if (!this.#running) this.#go()
  }

  #go = () => {
    for (const stream of this.#streams) this.#step(stream)
    this.#running = this.#streams.size > 0
    if (this.#running) this.#schedule(this.#go)
  }

  #step(stream) {
    if (stream.full) return
    if (stream.next < this.#writes.length) {
      stream.full = !stream.response.write(this.#writes[stream.next++])
      return
    }
    this.#streams.delete(stream)
    if (stream.withUsage) stream.response.write(usageEvent)
    stream.response.end(doneEvent)
  }
}

const atOnce = new Steps(1, (go) => setImmediate(go))
const paced = new Steps(1, (go) => setTimeout(go, PACE_MS))
const inBursts = new Steps(BURST_EVENTS, (go) => setTimeout(go, BURST_PACE_MS))

function stepsFor(body) {
  if (body.includes(`"${PACED_MODEL}"`)) return paced
  return body.includes(`"${BURST_MODEL}"`) ? inBursts : atOnce
}

function answerChat(body, response) {
  const isSearched = body.length <= MAX_SEARCHED_BYTES
  // The spacing of JavaScript and of Python. Within a message's text the quotes would be escaped.
  if (isSearched && (body.includes('"stream":true') || body.includes('"stream": true'))) {
    stepsFor(body).add(response, body.includes('"include_usage"'))
    return
  }
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': jsonAnswer.length })
  response.end(jsonAnswer)
}

const model = (id) => ({ id, object: 'model', created: 1, owned_by: 'vllm', root: id, max_model_len: 1_048_576 })
const facts = {
  '/v1/models': JSON.stringify({ object: 'list', data: MODELS.map(model) }),
  '/version': '{"version":"0.32.0"}',
  '/health': '',
  '/metrics': '',
}

function answerFact(url, response) {
  const body = facts[url]
  response.writeHead(body === undefined ? 404 : 200, {
    'content-type': url === '/metrics' ? 'text/plain' : 'application/json',
  })
  response.end(body ?? '{"detail":"Not Found"}')
}

const server = createServer((request, response) => {
  const parts = []
  request.on('data', (bytes) => parts.push(bytes))
  request.on('end', () => {
    if (request.url !== '/v1/chat/completions') answerFact(request.url, response)
    else answerChat(parts.length === 1 ? parts[0] : Buffer.concat(parts), response)
  })
})
// The proxy closes its idle connections; the upstream must not close one just as it is reused.
server.keepAliveTimeout = 600_000
server.listen(Number(process.argv[2]), '127.0.0.1')
