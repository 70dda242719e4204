// The upstream: the simulator behind a hop that makes large answers, keeps the attacker's warm calls for a while, and counts how many of
// these there are at once. Started as `node upstream.mjs SIM`; communicates over IPC.

import { once } from 'node:events'
import { Agent, createServer, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const [, , simModule] = process.argv
const { startSim } = await import(simModule)

/** How long a warm call of the attacker takes at least, so that calls sent together are seen together. */
const WARM_MS = 200
const KEEP_ALIVE_MS = 60_000

const sim = await startSim({ maxModelLen: 32_768, requestLog: 1, eventFlushMs: 0, prefillTokensPerSecond: 50_000 })
const agent = new Agent({ keepAlive: true })
const answerBodies = new Map()
let atOnce = 0
let most = 0

/** A chat completion of that many bytes. */
function answerOf(bytes) {
  if (!answerBodies.has(bytes)) {
    const answer = (content) => ({
      ...{ id: 'chatcmpl-large', object: 'chat.completion', created: 1, model: sim.model },
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 8, completion_tokens: 8, total_tokens: 16 },
    })
    const rest = JSON.stringify(answer('')).length
    answerBodies.set(bytes, Buffer.from(JSON.stringify(answer('x'.repeat(Math.max(0, bytes - rest))))))
  }
  return answerBodies.get(bytes)
}

async function serve(request, response) {
  const bytes = request.headers['x-attack-answer-bytes']
  if (bytes !== undefined) {
    request.resume()
    await once(request, 'end')
    response.setHeader('content-type', 'application/json')
    response.end(answerOf(Number(bytes)))
    return
  }
  const isAttackersWarmCall =
    request.url === '/v1/completions' && /attack-key/.test(request.headers.authorization ?? '')
  if (!isAttackersWarmCall) return forward(request, response)
  atOnce++
  most = Math.max(most, atOnce)
  response.once('close', () => atOnce--)
  await sleep(WARM_MS)
  forward(request, response)
}

function forward(request, response) {
  const { method, url: path, headers } = request
  const { port } = new URL(sim.engineUrl)
  const upstream = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers)
    answer.pipe(response)
  })
  upstream.once('error', () => response.destroy())
  response.once('close', () => upstream.destroy())
  request.pipe(upstream)
}

const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()))
server.keepAliveTimeout = KEEP_ALIVE_MS
server.listen(0, '127.0.0.1')
await once(server, 'listening')

process.on('message', () => process.send({ most }))
process.on('disconnect', () => process.exit())
process.send({ url: `http://127.0.0.1:${server.address().port}`, coordinatorUrl: sim.coordinatorUrl, model: sim.model })
