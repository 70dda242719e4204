// Measures the memory cost of sessions. First, each cache is filled far beyond its limit, and the growth of the heap is compared with the
// limit: more than 20% over, or less than half, exits with 1. Then a million sessions of ten tenants have a turn each on a SQLite store with
// the default limit, which measures the memory of the process and the time of cwm's own part of a turn.
// Run with `npm run bench:sessions`; CWM_BENCH_SCALE=0.1 uses a tenth of the sessions. The last line is JSON.

import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { rulesOf } from '../dist/dialects/index.js'
import { chainOf } from '../dist/identity/chain.js'
import { KnownSizes } from '../dist/near-limit/known-sizes.js'
import { NewestSessions } from '../dist/sessions/newest.js'
import { SessionTracker } from '../dist/sessions/tracker.js'
import { openSqliteStore } from '../dist/store/sqlite/sqlite.js'

const MIB = 1024 * 1024
const BOUND = 64 * MIB
const DAY = 24 * 3_600_000
/** How src/compose/core.ts divides the default of `tracking_bytes`. */
const DEFAULT = { maxSessionBytes: 40 * MIB, maxHistoryBytes: 16 * MIB }
const sessionCount = Math.round(1_000_000 * Number(process.env.CWM_BENCH_SCALE ?? 1))
const inFlight = 1_000
const RUNS = 2_000
const EARLY = 50

const tenantOf = (n) =>
  `k-${createHash('sha256')
    .update(`tenant ${n % 10}`)
    .digest('base64url')
    .slice(0, 22)}`
const digestOf = (n) => createHash('sha256').update(`boundary ${n}`).digest('base64url')
const ownerOf = (n) => ({ tenant: tenantOf(n), isolation: 'session', user: undefined })
const spread = (n, among) => (Math.imul(n + 1, 2_654_435_761) >>> 0) % among

function trackerOn(store, bounds) {
  return new SessionTracker({ store, now: Date.now, boundaryTtlMs: DAY, responseTtlMs: DAY, ...bounds })
}

/** The proxy's calls to the tracker for a turn, once the session is found. */
async function finish(tracker, session, n, digests) {
  tracker.hold(session)
  const space = { model: `model-${n % 4}`, kvEpoch: 0 }
  await tracker.enter(session, space)
  session.saltOf(session.record.lineage, space, () => randomBytes(32).toString('base64url'))
  tracker.announce(session, digests)
  const usage = {
    promptTokens: 900 + (n % 3000),
    completionTokens: 80,
    totalTokens: 980 + (n % 3000),
    cachedTokens: 880,
  }
  const { turns } = session.record
  session.change({
    lastTurnAt: Date.now(),
    turns: turns + 1,
    model: `model-${n % 4}`,
    dialect: 'chat',
    usage,
    limit: 4096,
  })
  await tracker.save(
    session,
    digests.map((digest) => ({ digest, rank: 0 })),
    [],
    true,
  )
  tracker.release(session)
}

const openings = { named: (n) => `chat-${n}`, unnamed: () => undefined }

async function begin(tracker, n, id) {
  const owner = ownerOf(n)
  const session = id === undefined ? await tracker.unnamed(owner) : await tracker.named(owner, id)
  await finish(tracker, session, n, [digestOf(n)])
  return session
}

/** A store that accepts everything and contains nothing. */
const nowhere = {
  maxStalenessMs: Number.POSITIVE_INFINITY,
  onChange: () => () => {},
  saveTurn: async () => 'saved',
  getSession: async () => undefined,
  getOrCreateSession: async (fresh) => fresh,
  isRetired: async () => false,
}

/** `entry` adds the nth entry to a cache. `hold`, called last, keeps the cache from being collected. */
const caches = {
  async sessions(bound) {
    const tracker = trackerOn(nowhere, { maxSessionBytes: 2 * bound, maxHistoryBytes: MIB })
    return { entry: (n) => begin(tracker, n, openings[n % 2 === 0 ? 'named' : 'unnamed'](n)), hold: () => tracker }
  },
  async histories(bound) {
    // Histories stay in memory only if the store has other writers.
    const shared = { ...nowhere, maxStalenessMs: DAY }
    const tracker = trackerOn(shared, { maxSessionBytes: MIB, maxHistoryBytes: bound })
    return { entry: (n) => begin(tracker, n), hold: () => tracker }
  },
  async sizes(bound) {
    const sizes = new KnownSizes(bound)
    return {
      entry: (n) => sizes.record([digestOf(n)], { tokens: n, shape: digestOf(`shape ${n}`) }),
      hold: () => sizes,
    }
  },
  async newest(bound) {
    const newest = new NewestSessions(bound)
    const scope = (n) =>
      JSON.stringify([2, tenantOf(n), 'chat', [['x-openwebui-chat-id', randomBytes(16).toString('hex')]]])
    return { entry: (n) => newest.record(scope(n), `s-${randomBytes(16).toString('base64url')}`), hold: () => newest }
  },
}

function heapBytes() {
  globalThis.gc()
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function weigh(name) {
  const entries = 500_000
  const few = 50_000 // fit within the bound
  const warm = await caches[name](MIB)
  for (let n = 0; n < 5000; n++) await warm.entry(n)
  const before = heapBytes()
  const cache = await caches[name](BOUND)
  for (let n = 0; n < few; n++) await cache.entry(n)
  const each = (heapBytes() - before) / few
  for (let n = few; n < entries; n++) await cache.entry(n)
  const grown = heapBytes() - before
  warm.hold()
  cache.hold()
  return { cache: name, bound: BOUND, each, grown, share: grown / BOUND }
}

async function measure(work, atOnce) {
  for (let n = 0; n < EARLY; n++) await work(n)
  const times = []
  const from = process.cpuUsage()
  for (let n = 0; n < RUNS; n += atOnce) {
    const at = performance.now()
    if (atOnce === 1) await work(n + EARLY)
    else await Promise.all(Array.from({ length: atOnce }, (_, m) => work(n + m + EARLY)))
    times.push((performance.now() - at) * 1000)
  }
  const { user, system } = process.cpuUsage(from)
  times.sort((a, b) => a - b)
  const wall = { p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }
  // Turns that are stored together wait for each other, so their time is not meaningful, and no client waits for it.
  return { ...(atOnce === 1 ? wall : {}), cpu: (user + system) / RUNS }
}

function memory() {
  globalThis.gc()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heapUsed }
}

const message = (role, content) => ({ role, content })
const canonical = (said) => rulesOf('chat').canonical(said)

async function million(dir) {
  const atStart = memory()
  const store = await openSqliteStore({ path: join(dir, 'cwm.sqlite'), soleWriter: true })
  const tracker = trackerOn(store, DEFAULT)
  const sample = []
  const from = performance.now()
  for (let first = 0; first < sessionCount; first += inFlight) {
    const these = Array.from({ length: Math.min(inFlight, sessionCount - first) }, (_, n) => first + n)
    const begun = await Promise.all(these.map((n) => begin(tracker, n)))
    for (let n = 0; n < begun.length; n += 100) sample.push([begun[n].record.tenant, begun[n].record.id])
  }
  const fillSeconds = (performance.now() - from) / 1000
  const filled = memory()

  // Each lookup has its own history, from sessions that have been evicted from memory, or that are still there.
  const asked = (n) => [message('user', `question ${n}`), message('assistant', `answer ${n}`), message('user', 'and?')]
  const chains = Array.from({ length: RUNS + EARLY }, (_, n) => chainOf('bench', asked(n), canonical))
  const sessions = []
  for (const [n, chain] of chains.entries()) {
    const session = await tracker.named(ownerOf(0), `known-${n}`)
    await finish(
      tracker,
      session,
      n,
      chain.candidates.map(({ digest }) => digest),
    )
    sessions.push(session)
  }
  const other = trackerOn(store, { maxSessionBytes: MIB, maxHistoryBytes: MIB })
  const rows = {
    'find by id, in memory': (n) => tracker.find(tenantOf(0), `known-${n}`),
    'find by id, in the store': (n) => other.find(...sample[spread(n, sample.length)]),
    'find by history, in memory': (n) => tracker.byPrefix(tenantOf(0), chains[n]),
    'find by history, in the store': (n) => other.byPrefix(tenantOf(0), chains[n]),
    'store a turn, 20 at once': (n) => finish(tracker, sessions[n], n, [digestOf(`later ${n}`)]),
    'begin a session, 20 at once': (n) => begin(tracker, -n - 1),
    'begin a named one, 20 at once': (n) => begin(tracker, -n - RUNS * 2, `new-${n}`),
    'list 100 sessions': () => tracker.list(tenantOf(0), { limit: 100 }),
    'sweep, nothing expired': () => tracker.sweep(),
    'look for idle sessions': () => store.listIdle(Date.now() - DAY, true, 200),
  }
  const measured = []
  for (const [name, work] of Object.entries(rows)) {
    measured.push({ name, ...(await measure(work, name.endsWith('at once') ? 20 : 1)) })
  }
  const after = memory()
  await store.close()
  return { sessions: sessionCount, fillSeconds, atStart, filled, after, measured }
}

const [part, argument] = process.argv.slice(2)
if (part === 'weigh') console.log(JSON.stringify(await weigh(argument)))
else if (part === 'million') console.log(JSON.stringify(await million(argument)))
else {
  /** Runs each part in its own process, so that they do not share a heap. */
  const run = (...args) => {
    const child = spawnSync(process.execPath, ['--expose-gc', import.meta.filename, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (child.status !== 0) throw new Error(`${args.join(' ')} failed`)
    return JSON.parse(child.stdout.toString())
  }
  const weights = Object.keys(caches).map((name) => run('weigh', name))
  for (const { cache, each, grown, share } of weights) {
    const verdict = share > 1.2 ? '  over its bound' : share < 0.5 ? '  holds too little' : ''
    console.log(
      `${cache.padEnd(10)} limit ${BOUND / MIB} MiB   heap ${(grown / MIB).toFixed(1)} MiB   ${each.toFixed(0)} bytes each${verdict}`,
    )
  }
  const dir = mkdtempSync(join(tmpdir(), 'cwm-bench-'))
  try {
    const { measured, ...facts } = run('million', dir)
    const mib = (bytes) => `${(bytes / MIB).toFixed(0)} MiB`
    console.log(`${facts.sessions} sessions started in ${facts.fillSeconds.toFixed(0)} s`)
    for (const when of ['atStart', 'filled', 'after']) {
      console.log(`${when.padEnd(10)} rss ${mib(facts[when].rss)}   heap ${mib(facts[when].heapUsed)}`)
    }
    for (const { name, p50, p99, cpu } of measured) {
      const us = (value) => (value === undefined ? '         -' : `${value.toFixed(0).padStart(7)} µs`)
      console.log(`${name.padEnd(30)} p50 ${us(p50)}   p99 ${us(p99)}   cpu ${us(cpu)}`)
    }
    console.log(JSON.stringify({ node: process.version, cores: cpus().length, weights, ...facts, measured }))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  process.exitCode = weights.some(({ share }) => share > 1.2 || share < 0.5) ? 1 : 0
}
