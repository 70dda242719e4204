// The scripted upstream. A base URL `/<variant>/<case>` selects a case. The first request to it gets the case's reply, later ones a plain
// final message. All requests are recorded.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { cases, nextQuestion, toolResult } from './cases.mjs'
import { shapes } from './shapes.mjs'

const dialects = { '/chat/completions': 'chat', '/responses': 'responses', '/messages': 'messages' }
const end = { text: 'That is all.' }
// The fields that identify a history or narrow its scope. The rest of a body is not recorded.
const kept = [
  'system',
  'instructions',
  'messages',
  'input',
  'previous_response_id',
  'thread',
  'user',
  'metadata',
  'prompt_cache_key',
]

const wire = (dialect, reply, stream) =>
  stream ? shapes[dialect].stream(reply) : JSON.stringify(shapes[dialect].whole(reply))

/** All replies as sent, by dialect and case: as JSON and as a stream. */
export const sentReplies = cases.map(({ dialect, name, reply }) => ({
  dialect,
  case: name,
  whole: wire(dialect, reply, false),
  streamed: wire(dialect, reply, true),
}))

const pick = (body) =>
  Object.fromEntries(kept.filter((field) => body[field] !== undefined).map((field) => [field, body[field]]))

/** Starts the upstream. `take` returns the exchanges since the last call: dialect, variant, case, whether it was streamed, and the requests. */
export async function startUpstream() {
  let exchanges = new Map()

  function answer(path, body) {
    const [, variant, name, , endpoint] = /^\/([^/]+)\/([^/]+)(\/v1)?(\/.*?)(?:\?.*)?$/.exec(path) ?? []
    const dialect = dialects[endpoint?.replace(/^\/v1/, '')]
    const wanted = decodeURIComponent(name ?? '')
    const found = cases.find((one) => one.dialect === dialect && one.name === wanted)
    if (found === undefined) throw new Error(`no case for ${path}`)
    const stream = body.stream === true
    const key = JSON.stringify([dialect, variant, wanted])
    const known = exchanges.get(key)
    if (known === undefined)
      exchanges.set(key, {
        dialect,
        variant: decodeURIComponent(variant),
        case: wanted,
        stream,
        requests: [pick(body)],
      })
    else known.requests.push(pick(body))
    return { text: wire(dialect, known === undefined ? found.reply : end, stream), stream }
  }

  const server = createServer(async (request, response) => {
    try {
      const parts = []
      for await (const part of request) parts.push(part)
      if (request.method === 'GET') {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ cases, nextQuestion, toolResult }))
        return
      }
      const { text, stream } = answer(request.url, JSON.parse(Buffer.concat(parts).toString('utf8')))
      response.setHeader('content-type', stream ? 'text/event-stream' : 'application/json')
      response.end(text)
    } catch (error) {
      process.stderr.write(`${request.method} ${request.url}: ${error}\n`)
      response.statusCode = 400
      response.end(JSON.stringify({ error: { message: String(error) } }))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    take: () => {
      const all = [...exchanges.values()]
      exchanges = new Map()
      return all
    },
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
