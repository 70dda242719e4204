// Measures how many bytes a session, a turn, and a window take in each store: what `cwm plan` computes with (src/plan/measured.ts).
// Run with `npm run bench:sizes`. SQLite is measured by its pages, Redis by `used_memory`.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import Database from 'libsql'
import { openRedisStore } from '../dist/store/redis/redis.js'
import { openSqliteStore } from '../dist/store/sqlite/sqlite.js'
import { freePorts } from './bench/processes.mjs'

const SESSIONS = 5_000
const TURNS = 10
const WINDOWS = 100
const TOKENS = 10_000
const IN_FLIGHT = 20
const now = Date.now()

const digestOf = (text) => createHash('sha256').update(text).digest('base64url')
const idOf = (text) => digestOf(text).slice(0, 22)
const tenant = `k-${idOf('tenant')}`

const aSession = (n, turns, named) => ({
  tenant,
  id: named ? `chat-${n}` : idOf(`session ${n}`),
  named,
  lineage: idOf(`lineage ${n}`),
  head: 0,
  spaces: [{ model: 'model-1', kvEpoch: 0 }],
  model: 'model-1',
  dialect: 'chat',
  createdAt: now,
  lastTurnAt: now + turns,
  turns,
  usage: { promptTokens: 900 + n, completionTokens: 80, totalTokens: 980 + n, cachedTokens: 880 },
  limit: 131_072,
})

const aWindow = (n, tokens) => ({
  tenant,
  name: `document-${n}`,
  id: idOf(`window ${n}`),
  state: 'frozen',
  origin: 'content',
  sessionId: idOf(`session ${n}`),
  lineage: idOf(`window's lineage ${n}`),
  tags: ['library:law'],
  note: '',
  dialect: 'chat',
  model: 'model-1',
  kvEpoch: 0,
  messageCount: 1,
  replyAt: 1,
  bytes: tokens * 8,
  createdAt: now,
  frozenAt: now + 400,
  pin: 'pinned',
  keys: { engineName: './model', worldSize: 1, chunkSize: 256 },
  checksum: 'x'.repeat(43),
})

const contentOf = (tokens, n) => ({
  prompt: {
    dialect: 'chat',
    model: 'model-1',
    messages: [{ role: 'user', content: `${n}:`.padEnd(4 * tokens, 'all work and no play ') }],
    shaping: {},
  },
  tokenIds: Uint32Array.from({ length: tokens }, (_, at) => (Math.imul(at + n, 2_654_435_761) >>> 0) % 128_000),
})

/** Stores a turn of a session with its boundary. */
async function saveTurn(store, session, turn) {
  const boundary = { digest: digestOf(`${session.id} ${turn}`), tenant, sessionId: session.id, expiresAt: 2 * now }
  await store.saveTurn(session, { boundaries: [boundary], keepBoundaries: 64 }, turn === 1)
}

/** Prints the bytes of each kind, as the difference that many of them make. */
async function measure(name, store, size) {
  const step = async (what, count, work) => {
    const before = await size()
    for (let from = 0; from < count; from += IN_FLIGHT) {
      await Promise.all(Array.from({ length: Math.min(IN_FLIGHT, count - from) }, (_, n) => work(from + n)))
    }
    console.log(`${name}: ${what}: ${Math.round(((await size()) - before) / count)} bytes`)
  }
  await step('a named session of one turn', SESSIONS, (n) => saveTurn(store, aSession(n, 1, true), 1))
  await step(`a session of ${TURNS} turns`, SESSIONS, async (n) => {
    for (let turn = 1; turn <= TURNS; turn++) await saveTurn(store, aSession(SESSIONS + n, turn, false), turn)
  })
  await step(`a window of ${TOKENS} tokens and ${4 * TOKENS} characters`, WINDOWS, (n) =>
    store.reserveWindow(aWindow(n, TOKENS), contentOf(TOKENS, n)),
  )
  await step('a window of 10 tokens', 10 * WINDOWS, (n) =>
    store.reserveWindow(aWindow(WINDOWS + n, 10), contentOf(10, n)),
  )
}

async function measureSqlite() {
  const folder = mkdtempSync(join(tmpdir(), 'cwm-sizes-'))
  const path = join(folder, 'cwm.sqlite')
  const store = await openSqliteStore({ path, soleWriter: true })
  const reader = new Database(path)
  const query = reader.prepare('SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()')
  try {
    await measure('SQLite', store, () => query.get().bytes)
  } finally {
    reader.close()
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureRedis() {
  if (spawnSync('redis-server', ['--version']).error !== undefined) {
    console.log('redis: skipped, redis-server is not installed (apt-get install redis-server)')
    return
  }
  const [port] = await freePorts(1)
  const server = spawn('redis-server', ['--port', `${port}`, '--save', '', '--appendonly', 'no'], { stdio: 'ignore' })
  const log = { warn() {}, info() {}, error() {}, debug() {} }
  const reader = new Redis(port, { retryStrategy: () => 100, maxRetriesPerRequest: null })
  reader.on('error', () => {})
  try {
    await reader.ping()
    const store = await openRedisStore({ commandTimeoutMs: 10_000, url: `redis://127.0.0.1:${port}`, log })
    await measure('Redis', store, async () => Number(/used_memory:(\d+)/.exec(await reader.info('memory'))[1]))
    await store.close()
  } finally {
    reader.disconnect()
    server.kill()
  }
}

await measureSqlite()
await measureRedis()
