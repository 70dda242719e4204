// Measures how long a body blocks cwm's event loop: bodies designed to be slow, one at a time over real sockets, on each path. The measure is
// the CPU time of cwm's main thread between two iterations of its loop, so other load on the machine does not count. Linux only.
// Run with `npm run bench:bodies`; exits with 1 if a body exceeds its limit. `-- 1 4` selects sizes in MiB, `-- --only tools` selects shapes.

import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { allowedStallMs } from './attack/stalls.mjs'
import { freePorts, Process } from './bench/processes.mjs'

const MIB = 1024 * 1024
/** Bytes around a shape, with some margin. */
const FRAME_BYTES = 4096
/** The default limits of a body; each shape uses them fully. */
const VALUES = 95_000
const SCALARS = 1_490_000
const MEMBERS = 19_500
const MESSAGES = 9_900
const START_MS = 30_000
const MAX_BODY_BYTES = 64 * MIB
/** Runs per shape. The first one is a warm-up for the JIT. */
const RUNS = 3
/** Timeout of a request. Its status is then `ECONNRESET`. */
const REQUEST_MS = 60_000

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const upstreamScript = fileURLToPath(new URL('bench/upstream.mjs', import.meta.url))
const probe = new URL('bench/cpu-probe.mjs', import.meta.url).href

const list = (n, item) => `[${Array.from({ length: Math.max(0, Math.floor(n)) }, (_, i) => item(i)).join()}]`
const object = (n, member) => `{${list(n, member).slice(1, -1)}}`
const text = (n) => 'w '.repeat(Math.max(0, n / 2))
/** `bytes` filled with the item, and with white space once the limit is reached. */
const filled = (bytes, item) => {
  const n = Math.min(SCALARS, Math.floor(bytes / (item.length + 1)))
  const padded = item.padEnd(bytes / n - 1)
  return list(n, () => padded)
}
/** `most` items, long enough to fill `bytes`. */
const spread = (bytes, most, item) => {
  const n = Math.min(most, Math.floor(bytes / 48))
  return list(n, (i) => item(i, bytes / n))
}
const quoted = (value) => JSON.stringify(value)
const callsOf = (bytes, args) =>
  list(bytes / 32_000, (i) => `{"id":"c${i}","type":"function","function":{"name":"f","arguments":${quoted(args)}}}`)

/** Content of a message with `bytes` bytes. */
const contents = {
  'one string': (bytes) => quoted(text(bytes)),
  'escaped string': (bytes) => `"${'\\"'.repeat(bytes / 2)}"`,
  numbers: (bytes) => filled(bytes, '1'),
  floats: (bytes) => filled(bytes, '1.2345678901234567e-300'),
  nulls: (bytes) => filled(bytes, 'null'),
  'text parts': (bytes) => spread(bytes, VALUES / 5, (_, each) => `{"type":"text","text":"${text(each - 26)}"}`),
  'odd parts': (bytes) => spread(bytes, VALUES / 5, (i, each) => `{"type":"t${i}","x":"${text(each - 26)}"}`),
  'an object beside numbers': (bytes) => `[{"type":"z","x":[{},${filled(bytes, '1').slice(1)}}]`,
  'keys of large objects': (bytes) =>
    list(4, (n) => {
      const pad = 'p'.repeat(Math.max(0, bytes / 4 / MEMBERS - 16))
      const count = Math.min(MEMBERS, bytes / 4 / 16)
      return `{"type":"z",${object(count, (i) => `"k${n}_${(i * 7919) % MEMBERS}${pad}":0`).slice(1)}`
    }),
  'deep lists': () => list(180, () => '['.repeat(500) + ']'.repeat(500)),
}

const messagesOf = (content) => `[{"role":"user","content":${content}}]`
const many = (bytes) =>
  spread(bytes, MESSAGES, (i, each) => `{"role":"${i % 2 ? 'assistant' : 'user'}","content":"${text(each - 36)}"}`)
const calling = (calls) => `[{"role":"assistant","content":"","tool_calls":${calls}},{"role":"user","content":"hi"}]`
const dense = '{}'
const argumentsOf = {
  objects: filled(31_000, dense),
  keys: object(2700, (i) => `"k${i}":0`),
  numbers: filled(31_000, '1'),
}

/** Members of a chat's body. */
const chats = {
  ...Object.fromEntries(
    Object.entries(contents).map(([name, of]) => [name, (bytes) => `"messages":${messagesOf(of(bytes))}`]),
  ),
  'many messages': (bytes) => `"messages":${many(bytes)}`,
  'numbers for tool calls': (bytes) => `"messages":${calling(filled(bytes, '1'))}`,
  ...Object.fromEntries(
    Object.entries(argumentsOf).map(([name, args]) => [
      `arguments of ${name}`,
      (bytes) => `"messages":${calling(callsOf(bytes, args))}`,
    ]),
  ),
  tools: (bytes) =>
    `"messages":${messagesOf('"hi"')},"tools":${spread(bytes, VALUES / 8, (i, each) => `{"type":"function","function":{"name":"f${i}","description":"${text(each - 60)}"}}`)}`,
  'a salt behind it all': (bytes) => `"messages":${messagesOf(contents.numbers(bytes))},"cache_salt":"mine"`,
}

const asInput = (members) => members.replace('"messages":', '"input":')
const functionCalls = (bytes) =>
  `"input":${list(bytes / 32_000, (i) => `{"type":"function_call","call_id":"c${i}","name":"f","arguments":${quoted(argumentsOf.objects)}}`)}`

const windowOf = (members) => `{"model":"sim-model",${members}}`
const turn = (members) => `{"model":"sim-model","max_tokens":1,${members}}`
const post = (path, headers = {}) => ({ method: 'POST', path, headers })
const chat = (headers) => post('/v1/chat/completions', headers)
const rpc = (members) =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"cwm_window_create","arguments":{"name":"w",${members}}}}`
const mcpHeaders = { accept: 'application/json, text/event-stream' }

/** By path: the request, how its body is written, and its members. */
const ways = {
  chat: { ask: chat(), write: turn, shapes: chats },
  'chat, named': { ask: chat({ 'x-cwm-session': 'bench' }), write: turn, shapes: chats },
  'chat, reject': { ask: chat({ 'x-cwm-overflow': 'reject' }), write: turn, shapes: chats },
  'chat, rollover': { ask: chat({ 'x-cwm-overflow': 'rollover' }), write: turn, shapes: chats },
  responses: {
    ask: post('/v1/responses'),
    write: (members) => turn(asInput(members)).replace('"max_tokens"', '"max_output_tokens"'),
    shapes: { ...chats, 'function calls': functionCalls },
  },
  messages: { ask: post('/v1/messages'), write: turn, shapes: chats },
  completions: {
    ask: post('/v1/completions'),
    write: turn,
    shapes: { 'token ids': (bytes) => `"prompt":${filled(bytes, '128000')}` },
  },
  'PUT window': { ask: { method: 'PUT', path: '/cwm/v1/windows/w', headers: {} }, write: windowOf, shapes: chats },
  import: {
    ask: post('/cwm/v1/windows/import'),
    write: (members) => `{"format":"cwm-window",${members}}`,
    shapes: chats,
  },
  mcp: { ask: post('/cwm/mcp', mcpHeaders), write: rpc, shapes: chats },
}

/** Resolves with the status, or the error code if the connection broke. */
function send(origin, { method, path, headers }, body) {
  return new Promise((resolve) => {
    const length = { 'content-type': 'application/json', 'content-length': body.length }
    const sent = request(`${origin}${path}`, { method, headers: { ...length, ...headers } }, (answer) => {
      answer.resume()
      answer.once('close', () => resolve(answer.statusCode))
    })
    sent.on('error', (error) => resolve(error.code))
    // A rejection may close the connection while the body is still being sent. The socket reports that after the response was read.
    sent.on('socket', (socket) => socket.on('error', () => {}))
    sent.setTimeout(REQUEST_MS, () => sent.destroy(Object.assign(new Error('no answer'), { code: 'ECONNRESET' })))
    sent.end(body)
  })
}

/** The run with the median hold time. */
async function measure(cwm, origin, ask, body) {
  const runs = []
  for (let run = 0; run < RUNS; run++) {
    await cwm.ask('start')
    const status = await send(origin, ask, body)
    runs.push({ status, ...(await cwm.ask('stop')) })
  }
  return runs.sort((a, b) => a.holdMs - b.holdMs)[Math.floor(RUNS / 2)]
}

function* cases(sizes, only) {
  for (const [way, { ask, write, shapes }] of Object.entries(ways)) {
    for (const [shape, of] of Object.entries(shapes)) {
      const name = `${way}: ${shape}`
      if (only !== undefined && !name.includes(only)) continue
      for (const mib of sizes) {
        const body = Buffer.from(write(of(mib * MIB - FRAME_BYTES)))
        yield { name, mib, ask, body }
      }
    }
  }
}

async function run(sizes, only, folder) {
  const [port, upstreamPort] = await freePorts(2)
  const origin = `http://127.0.0.1:${port}`
  const upstreamUrl = `http://127.0.0.1:${upstreamPort}`
  const upstream = new Process({
    ...{ command: process.execPath, args: [upstreamScript, String(upstreamPort)] },
    logFile: join(folder, 'upstream.log'),
  })
  const flags = { upstream: upstreamUrl, port, 'data-dir': join(folder, 'data'), 'max-body-bytes': MAX_BODY_BYTES }
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
  const cwm = new Process({
    ...{ command: process.execPath, args: ['--import', probe, main, 'serve', ...args] },
    ...{ logFile: join(folder, 'cwm.log'), ipc: true },
  })
  const rows = []
  try {
    await upstream.answers(`${upstreamUrl}/health`, START_MS)
    await cwm.answers(`${origin}/cwm/livez`, START_MS)
    for (const { name, mib, ask, body } of cases(sizes, only)) {
      const { status, holdMs } = await measure(cwm, origin, ask, body)
      const bound = allowedStallMs(body.length)
      rows.push({ name, mib, status, holdMs, bound })
      const verdict = holdMs > bound ? '  over' : ''
      const size = `${(body.length / MIB).toFixed(1).padStart(5)} MiB`
      const took = `hold ${holdMs.toFixed(0).padStart(4)} of ${bound.toFixed(0)} ms`
      console.log(`${name.padEnd(42)} ${size}   ${String(status).padEnd(10)} ${took}${verdict}`)
    }
  } finally {
    await cwm.stop()
    await upstream.stop()
  }
  return rows
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { only: { type: 'string' } } })
const sizes = positionals.length > 0 ? positionals.map(Number) : [1, 4, 16, 60]
const folder = mkdtempSync(join(tmpdir(), 'cwm-bodies-'))
try {
  const before = loadavg()[0]
  const rows = await run(sizes, values.only, folder)
  const over = rows.filter(({ holdMs, bound }) => holdMs > bound)
  console.log(
    `load ${before.toFixed(1)} before, ${loadavg()[0].toFixed(1)} after; ${over.length} of ${rows.length} over their limit`,
  )
  process.exitCode = over.length > 0 ? 1 : 0
} finally {
  rmSync(folder, { recursive: true, force: true })
}
