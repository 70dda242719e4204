// Measures both stores when full: 10,000 windows and 100,000 sessions of one tenant, and as many of ten others. Lists (100 items, all
// sort orders, typical filters) must take less than 5 ms at the median, a single record less than 2 ms; otherwise it exits with 1.
// Run with `npm run bench:store`; CWM_BENCH_SCALE=0.1 uses a tenth of the data. The last line is JSON.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openRedisStore } from '../dist/store/redis/redis.js'
import { openSqliteStore } from '../dist/store/sqlite/sqlite.js'

const LIST_MS = 5
const SHOW_MS = 2
const RUNS = 200
const scale = Number(process.env.CWM_BENCH_SCALE ?? 1)
const windowCount = Math.round(10_000 * scale)
const sessionCount = Math.round(100_000 * scale)
const otherTenants = 10
const inFlight = 32
const began = 1_790_000_000_000

const receipt = (tokens) => ({
  durability: 'l2',
  tokens,
  chunkSize: 256,
  chunks: Math.floor(tokens / 256),
  restorableTokens: tokens - (tokens % 256),
  tiers: { total: 12, l1: 12, l2: 12, backends: { fs: 12, resp: 12 } },
  pinned: true,
  cachedTokens: tokens - 40,
  computedTokens: 40,
  ms: { ids: 21.5, pin: 3.2, warm: 310.4, look: 120.9, record: 0.4 },
  warnings: [],
})

/** Pseudo-random and deterministic. */
const spread = (n, among) => (Math.imul(n + 1, 2_654_435_761) >>> 0) % among

function aWindow(tenant, n) {
  const tokens = 256 + spread(n, 30_000)
  const createdAt = began + spread(n, 10_000_000)
  return {
    tenant,
    name: `${['contract', 'notes', 'plan', 'report'][n % 4]}-${n}`,
    id: `w-${n}`,
    state: n % 200 === 0 ? 'failed' : 'frozen',
    ...(n % 200 === 0 ? { reason: 'the upstream did not answer' } : {}),
    origin: n % 3 === 0 ? 'clone' : 'session',
    sessionId: `s-${spread(n, Math.max(1, windowCount / 5))}`,
    lineage: `l-${spread(n, Math.max(1, windowCount / 3))}`,
    ...(n % 3 === 0 ? { parent: `contract-${spread(n, 500) * 4}` } : {}),
    tags: [`team-${n % 5}`, `topic-${n % 97}`, ...(n % 1000 === 0 ? ['rare'] : [])],
    note: 'read again before Monday',
    dialect: 'chat',
    model: `model-${n % 4}`,
    kvEpoch: 0,
    messageCount: 12,
    replyAt: 11,
    bytes: tokens * 9,
    createdAt,
    frozenAt: createdAt + 400,
    ...(n % 2 === 0 ? { thawedAt: createdAt + spread(n, 5_000_000), thaws: 3 } : {}),
    pin: n % 7 === 0 ? 'pinned' : 'released',
    keys: { engineName: './model', worldSize: 1, chunkSize: 256 },
    checksum: 'x'.repeat(43),
    receipt: receipt(tokens),
  }
}

function aSession(tenant, n) {
  const at = began + spread(n, 10_000_000)
  return {
    tenant,
    id: `s-${n}`,
    named: n % 2 === 0,
    lineage: `l-${n}`,
    head: 0,
    spaces: [{ model: `model-${n % 4}`, kvEpoch: 0 }],
    model: `model-${n % 4}`,
    dialect: 'chat',
    createdAt: at,
    lastTurnAt: at,
    turns: 4,
    usage: { promptTokens: 900, completionTokens: 80, totalTokens: 980, cachedTokens: 880 },
    limit: 4096,
  }
}

const content = {
  prompt: { dialect: 'chat', model: 'model-0', messages: [{ role: 'user', content: 'x'.repeat(400) }], shaping: {} },
  tokenIds: Uint32Array.from({ length: 100 }, (_, n) => n),
}

async function each(count, work) {
  for (let from = 0; from < count; from += inFlight) {
    await Promise.all(Array.from({ length: Math.min(inFlight, count - from) }, (_, n) => work(from + n)))
  }
}

async function fill(store) {
  const tenants = [['bench', 1], ...Array.from({ length: otherTenants }, (_, n) => [`other-${n}`, 1 / otherTenants])]
  for (const [tenant, part] of tenants) {
    await each(windowCount * part, (n) => store.reserveWindow(aWindow(tenant, n), content))
    await each(sessionCount * part, (n) => {
      const boundary = { digest: `d-${n}`, tenant, sessionId: `s-${n}`, expiresAt: began * 2 }
      return store.saveTurn(aSession(tenant, n), { boundaries: [boundary], keepBoundaries: 4 }, true)
    })
  }
}

const queries = {
  'newest first': {},
  'oldest first': { order: 'asc' },
  'by name': { sort: 'name', order: 'asc' },
  'by last thaw': { sort: 'thawed' },
  'by tokens': { sort: 'tokens' },
  'tag of a fifth': { tags: ['team-1'] },
  'tag of a hundredth': { tags: ['topic-5'] },
  'tag of a thousandth': { tags: ['rare'] },
  'two tags': { tags: ['team-1', 'topic-5'] },
  'unknown tag': { tags: ['nowhere'] },
  'tag, by tokens': { tags: ['topic-5'], sort: 'tokens' },
  model: { model: 'model-2' },
  'model, by name': { model: 'model-2', sort: 'name', order: 'asc' },
  'state frozen': { state: 'frozen' },
  'state failed': { state: 'failed' },
  'state freezing': { state: 'freezing' },
  'pin pinned, by last thaw': { pin: 'pinned', sort: 'thawed' },
  'one session': { sessionId: 's-7' },
  'one parent': { parent: 'contract-40' },
  'text of many': { text: 'REPORT' },
  'text of a few': { text: '-777' },
  'text of none': { text: 'nowhere' },
  'text of a few, by tokens': { text: '-777', sort: 'tokens' },
  'one day of dates': { createdFrom: began + 5_000_000, createdBefore: began + 5_100_000 },
  'dates, by name': { createdFrom: began + 5_000_000, createdBefore: began + 5_100_000, sort: 'name', order: 'asc' },
  'tag, model, text': { tags: ['team-1'], model: 'model-2', text: 'report' },
}

async function measure(work) {
  for (let n = 0; n < 5; n++) await work(n)
  const times = []
  for (let n = 0; n < RUNS; n++) {
    const from = performance.now()
    await work(n)
    times.push(performance.now() - from)
  }
  times.sort((a, b) => a - b)
  return { p50: times[RUNS / 2], p99: times[Math.floor(RUNS * 0.99)] }
}

/** The page in the middle of a list, reached by its cursor like a client would. */
async function halfway(read, count) {
  let page = await read({ limit: 1000 })
  for (let seen = 1000; seen < count / 2 && page.nextCursor !== undefined; seen += 1000) {
    page = await read({ limit: 1000, cursor: page.nextCursor })
  }
  return page.nextCursor === undefined ? {} : { cursor: page.nextCursor }
}

async function measureAll(store) {
  const rows = []
  const add = async (name, target, work) => rows.push({ store: store.kind, name, target, ...(await measure(work)) })
  for (const [name, query] of Object.entries(queries)) {
    await add(`windows: ${name}`, LIST_MS, () => store.listWindows('bench', { limit: 100, ...query }))
  }
  for (const sort of ['created', 'name', 'thawed', 'tokens']) {
    const from = await halfway((page) => store.listWindows('bench', { ...page, sort }), windowCount)
    await add(`windows: by ${sort}, halfway`, LIST_MS, () => store.listWindows('bench', { limit: 100, sort, ...from }))
  }
  await add('sessions: newest first', LIST_MS, () => store.listSessions('bench', { limit: 100 }))
  const middle = await halfway((page) => store.listSessions('bench', page), sessionCount)
  await add('sessions: halfway', LIST_MS, () => store.listSessions('bench', { limit: 100, ...middle }))
  await add('show a window', SHOW_MS, (n) => store.getWindow('bench', aWindow('bench', spread(n, windowCount)).name))
  await add('show a session', SHOW_MS, (n) => store.getSession('bench', `s-${spread(n, sessionCount)}`))
  await add('usage', SHOW_MS, () => store.usageOf('bench'))
  await add('holders of a lineage', SHOW_MS, (n) => store.holdersOf('bench', `l-${spread(n, windowCount / 3)}`))
  await add('boundaries of 20 messages', SHOW_MS, (n) =>
    store.findBoundaries(
      'bench',
      Array.from({ length: 20 }, (_, m) => `d-${n * 20 + m}`),
      began,
    ),
  )
  return rows
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function startRedis(dir) {
  const port = await freePort()
  const options = ['--port', port, '--bind', '127.0.0.1', '--dir', dir, '--appendonly', 'yes', '--save', '']
  const server = spawn('redis-server', options.map(String), { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of server.stdout) if (String(line).includes('Ready to accept connections')) break
  server.stdout.resume()
  return { server, url: `redis://127.0.0.1:${port}` }
}

async function withDir(work) {
  const dir = mkdtempSync(join(tmpdir(), 'cwm-bench-'))
  try {
    return await work(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function run(store) {
  const from = performance.now()
  await fill(store)
  const fillSeconds = (performance.now() - from) / 1000
  console.log(`${store.kind}: filled in ${fillSeconds.toFixed(0)} s`)
  const rows = await measureAll(store)
  await store.close()
  return rows
}

const only = process.argv[2]
const rows = []
if (only !== 'redis') {
  rows.push(
    ...(await withDir(async (dir) => run(await openSqliteStore({ path: join(dir, 'cwm.sqlite'), soleWriter: true })))),
  )
}
if (only !== 'sqlite') {
  if (spawnSync('redis-server', ['--version']).error === undefined) {
    const measured = await withDir(async (dir) => {
      const { server, url } = await startRedis(dir)
      try {
        const log = { debug() {}, info() {}, warn() {}, error() {} }
        return await run(await openRedisStore({ commandTimeoutMs: 10_000, url, log }))
      } finally {
        server.kill()
        await once(server, 'exit')
      }
    })
    rows.push(...measured)
  } else {
    console.log('redis: skipped, redis-server is not installed (apt-get install redis-server)')
  }
}

for (const { store, name, target, p50, p99 } of rows) {
  const verdict = p50 < target ? '' : `  over ${target} ms`
  console.log(
    `${store.padEnd(7)} ${name.padEnd(36)} p50 ${p50.toFixed(2).padStart(7)} ms   p99 ${p99.toFixed(2).padStart(7)} ms${verdict}`,
  )
}
console.log(
  JSON.stringify({
    windows: windowCount,
    sessions: sessionCount,
    node: process.version,
    cores: cpus().length,
    rows: rows.map((row) => ({ ...row, p50: Number(row.p50.toFixed(3)), p99: Number(row.p99.toFixed(3)) })),
  }),
)
process.exitCode = rows.some(({ p50, target }) => p50 >= target) ? 1 : 0
