// A minimal pass-through proxy for comparison: node:http in front, an undici Pool behind, unchanged bodies and headers. A process of its
// own, `node pass.mjs PORT UPSTREAM bare`. With `parse` instead of `bare` it also parses each body once and discards the result.

import { createServer } from 'node:http'
import { Pool } from 'undici'

const [port, upstream, mode] = process.argv.slice(2)
const parses = mode === 'parse'
// The same settings as cwm's: src/engines/upstream.ts.
const pool = new Pool(upstream, { connections: 512, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })

const ONE_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length'])

function onward(rawHeaders) {
  const kept = []
  for (let n = 0; n < rawHeaders.length; n += 2) {
    if (!ONE_HOP.has(rawHeaders[n].toLowerCase())) kept.push(rawHeaders[n], rawHeaders[n + 1])
  }
  return kept
}

function back(rawHeaders) {
  const kept = []
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const name = rawHeaders[n].toString('latin1')
    const lower = name.toLowerCase()
    if (lower === 'content-length' || !ONE_HOP.has(lower)) kept.push(name, rawHeaders[n + 1].toString('latin1'))
  }
  return kept
}

class Answer {
  #response

  constructor(response) {
    this.#response = response
  }

  onRequestStart() {}

  onResponseStart(controller, status) {
    this.#response.writeHead(status, back(controller.rawHeaders))
  }

  onResponseData(controller, bytes) {
    if (this.#response.write(bytes)) return
    controller.pause()
    this.#response.once('drain', () => controller.resume())
  }

  onResponseEnd() {
    this.#response.end()
  }

  onResponseError(_, error) {
    this.#response.destroy(error)
  }
}

const server = createServer((request, response) => {
  const parts = []
  request.on('data', (bytes) => parts.push(bytes))
  request.on('end', () => {
    const body = parts.length === 1 ? parts[0] : Buffer.concat(parts)
    if (parses && body.length > 0) JSON.parse(body.toString())
    const { method, url: path } = request
    const headers = onward(request.rawHeaders)
    pool.dispatch({ method, path, headers, body: body.length > 0 ? body : null }, new Answer(response))
  })
})
server.keepAliveTimeout = 600_000
server.listen(Number(port), '127.0.0.1')
