// Runs `cwm serve` with its default budgets in a memory cgroup, under load that uses memory: large bodies, streams that nobody
// reads, large JSON answers, retained turns, and thawed windows. Fails if cwm exits, or does not answer afterwards.
//   npm run small-container -- 512 8    MiB, and rounds of load; needs Linux and permission to create a cgroup (root)
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const MIB = 1024 * 1024
const SESSIONS = 100
const [limitMib = 512, rounds = 8] = process.argv.slice(2).map(Number)
const docs = await readFile('docs/operating.md', 'latin1')
const text = docs.repeat(20)

/** Creates a cgroup below that of this process, version 2 or 1. */
async function makeCgroup() {
  const lines = (await readFile('/proc/self/cgroup', 'utf8')).trim().split('\n')
  const pathOf = (pattern) =>
    lines
      .find((line) => pattern.test(line))
      ?.split(':')
      .slice(2)
      .join(':')
  const v1 = pathOf(/^\d+:([^:]*,)?memory(,[^:]*)?:/)
  const home = v1 === undefined ? join('/sys/fs/cgroup', pathOf(/^0::/) ?? '/') : join('/sys/fs/cgroup/memory', v1)
  const folder = join(home, `cwm-${process.pid}`)
  await mkdir(folder)
  await writeFile(join(folder, v1 === undefined ? 'memory.max' : 'memory.limit_in_bytes'), String(limitMib * MIB))
  return folder
}

/** An upstream that answers by the header `x-answer`: a short answer, a large JSON answer, or an endless stream. */
async function startUpstream() {
  const say = (content) =>
    JSON.stringify({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 100, completion_tokens: 2, total_tokens: 102 },
    })
  const short = say('yes')
  const large = say(text.slice(0, 8 * MIB))
  const event = `data: {"choices":[{"index":0,"delta":{"content":"${'x'.repeat(16_000)}"},"finish_reason":null}]}\n\n`
  const server = createServer(async (request, response) => {
    request.resume()
    if (request.url === '/v1/models') {
      const model = { id: 'm', object: 'model', root: './m', max_model_len: 100_000_000 }
      return response.end(JSON.stringify({ object: 'list', data: [model] }))
    }
    if (request.url !== '/v1/chat/completions') return response.writeHead(404).end('{}')
    await once(request, 'end').catch(() => {})
    const kind = request.headers['x-answer']
    response.writeHead(200, { 'content-type': kind === 'stream' ? 'text/event-stream' : 'application/json' })
    if (kind !== 'stream') return response.end(kind === 'large' ? large : short)
    const pour = () => {
      while (!response.destroyed) if (!response.write(event)) return response.once('drain', pour)
    }
    pour()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function startCwm(cgroup, upstream, logFile, dataDir) {
  const flags = ['--upstream', upstream, '--port', '0', '--data-dir', dataDir, '--log-format', 'json']
  const command = ['exec', process.execPath, 'dist/cli/main.js', 'serve', ...flags].join(' ')
  const child = spawn('bash', ['-c', `echo $$ > ${cgroup}/cgroup.procs; ${command}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  child.stderr.pipe(createWriteStream(logFile))
  const lines = async () => (await readFile(logFile, 'utf8').catch(() => '')).split('\n')
  for (;;) {
    const found = (await lines()).find((line) => line.includes('"ready"'))
    if (found !== undefined) {
      const memory = (await lines()).find((line) => line.includes('"about":"memory"')) ?? '{}'
      console.log(JSON.parse(memory).msg)
      return { child, url: JSON.parse(found).url.replace('/v1', '') }
    }
    if (child.exitCode !== null) throw new Error(`cwm did not start; see ${logFile}`)
    await sleep(50)
  }
}

const counts = {}
const count = (kind, status) => {
  counts[`${kind} ${status}`] = (counts[`${kind} ${status}`] ?? 0) + 1
}

async function turn(url, kind, content, headers = {}) {
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }),
    })
    await response.arrayBuffer()
    count(kind, response.status)
  } catch {
    count(kind, 'broken')
  }
}

function rest(url, method, path, body) {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${url}/cwm/v1${path}`, { method, headers, body: JSON.stringify(body) })
}

/** A client that requests a stream and never reads it. */
function idleReader(url, key) {
  const { hostname, port } = new URL(url)
  const body = JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'hi' }] })
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${key}\r\nx-answer: stream\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  const socket = connect(Number(port), hostname, () => socket.write(head + body))
  socket.pause()
  socket.on('error', () => {})
  return socket
}

/** Runs `work` for 0, 1, …, with limited concurrency. */
async function times(total, atOnce, work) {
  let next = 0
  const worker = async () => {
    while (next < total) await work(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

const holdSessions = (url) =>
  times(SESSIONS, 4, (n) =>
    turn(url, 'session', text.slice(n * 1000, n * 1000 + 512_000), { 'x-cwm-session': `s${n}` }),
  )

/** Eight tenants send bodies near the maximum, with and without non-Latin-1 characters; eight get large answers; windows are thawed. */
async function load(url) {
  const key = (name) => ({ authorization: `Bearer ${name}` })
  const ascii = text.repeat(99).slice(0, ((limitMib / 32) * MIB * 7) / 8)
  const wide = `${ascii.slice(10)}🙂`
  const bodies = times(8 * rounds, 8, (n) => turn(url, 'large body', n % 2 ? wide : ascii, key(`b${n % 8}`)))
  const answers = times(8 * rounds, 8, (n) =>
    turn(url, 'large answer', 'hi', { ...key(`a${n % 8}`), 'x-answer': 'large' }),
  )
  const windows = times(5 * rounds, 1, async (n) => {
    const document = text.slice(n * 999, n * 999 + 512_000)
    const made = await rest(url, 'PUT', `/windows/w${n}`, { model: 'm', document })
    count('window', made.status)
    await turn(url, 'behind a window', 'and now?', { 'x-cwm-window': `w${n}` })
  })
  await Promise.all([bodies, answers, windows])
}

async function freezable(url) {
  let found = 0
  for (let n = 0; n < SESSIONS; n++) {
    const session = await (await rest(url, 'GET', `/sessions/s${n}`)).json()
    if (session.freezable === true) found++
  }
  return found
}

async function memoryOf(pid, cgroup) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const of = (name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024)
  const oom = await readFile(join(cgroup, 'memory.events'), 'utf8')
    .catch(() => readFile(join(cgroup, 'memory.oom_control'), 'utf8'))
    .catch(() => '')
  return { peakMib: of('VmHWM'), nowMib: of('VmRSS'), oomKills: /oom_kill (\d+)/.exec(oom)?.[1] ?? 'unknown' }
}

const folder = await mkdtemp(join(tmpdir(), 'cwm-small-'))
const cgroup = await makeCgroup()
const upstream = await startUpstream()
const logFile = join(folder, 'cwm.log')
const cwm = await startCwm(cgroup, `http://127.0.0.1:${upstream.address().port}`, logFile, join(folder, 'data'))
let ended
cwm.child.once('exit', (code, signal) => {
  ended = signal ?? code
})
try {
  const before = await memoryOf(cwm.child.pid, cgroup)
  await holdSessions(cwm.url)
  const held = await freezable(cwm.url)
  const readers = Array.from({ length: 64 }, (_, who) => idleReader(cwm.url, `r${who}`))
  await load(cwm.url)
  const after = await memoryOf(cwm.child.pid, cgroup)
  const heldAfter = await freezable(cwm.url)
  for (const reader of readers) reader.destroy()
  await turn(cwm.url, 'afterwards', 'hi')
  console.log(
    [
      `limit ${limitMib} MiB`,
      `resident before ${before.nowMib}, peak ${after.peakMib}, after ${after.nowMib} MiB`,
      `out-of-memory kills: ${after.oomKills}`,
      `sessions of 512 KB that REST can freeze: ${held} of ${SESSIONS}, ${heldAfter} after the load`,
      ...Object.entries(counts).map(([what, often]) => `${what}: ${often}`),
    ].join('; '),
  )
  if (counts['afterwards 200'] !== 1 || held !== SESSIONS) process.exitCode = 1
} catch (error) {
  console.error(String(error), '\n', (await readFile(logFile, 'utf8')).slice(-2000))
  console.log(counts)
  process.exitCode = 1
} finally {
  cwm.child.kill()
  if (ended === undefined) await once(cwm.child, 'exit')
  upstream.close()
  upstream.closeAllConnections()
  await rmdir(cgroup).catch(() => {})
  await rm(folder, { recursive: true, force: true })
}
process.exit()
