// Creates stores as an older cwm leaves them, for the test that a newer one can open them (test/store-of-before.test.ts):
//   node scripts/store-fixtures/make.mjs DIST test/recorded/store-COMMIT
// DIST is the built `dist` of a checkout of that commit, with its node_modules beside it. Needs redis-server 7.0 or later.
// It writes sqlite.db.gz, redis.json (the commands that create the same keys in any Redis), and held.json: their content, as a
// client sees it. Nothing in them expires for a hundred years.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import Libsql from 'libsql'
import { fill, MODEL } from './fill.mjs'
import { dump } from './redis-dump.mjs'

const CENTURY_MS = 100 * 365 * 24 * 3_600_000
const SECRET = 'the secret of stores that an older cwm made'
const KEY = 'key-of-the-older-cwm'
const READY_MS = 30_000

const [dist, out] = process.argv.slice(2)
if (dist === undefined || out === undefined) {
  console.error('usage: node scripts/store-fixtures/make.mjs DIST OUT')
  process.exit(2)
}
const folder = mkdtempSync(join(tmpdir(), 'cwm-store-fixtures-'))

/** The older cwm as a process. `stop` shuts it down gracefully, so that everything is stored. */
async function startOld(store, { engineUrl, coordinatorUrl }) {
  const settings = {
    upstream: engineUrl,
    coordinator: coordinatorUrl,
    port: 0,
    'data-dir': join(folder, 'data'),
    store,
    retain: 'disk',
    'boundary-ttl-ms': CENTURY_MS,
    'session-ttl-ms': CENTURY_MS,
    'response-ttl-ms': CENTURY_MS,
    'deletion-keep-ms': CENTURY_MS,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(process.execPath, [resolve(dist, 'cli/main.js'), 'serve', ...flags], {
    env: { PATH: process.env.PATH, CWM_SECRET: SECRET },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const url = await saidBy(child, child.stderr, /(?:^ready\s+|"url":")(http:[^\s"]+)\/v1/m)
  const stop = async () => {
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`the older cwm exited with ${code}`)
  }
  return { url, stop }
}

async function startRedis() {
  const port = await freePort()
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''])
  await saidBy(child, child.stdout, /(Ready to accept connections)/)
  const stop = async () => {
    child.kill()
    await once(child, 'exit')
  }
  return { url: `redis://127.0.0.1:${port}`, stop }
}

/** Waits until the process has written `pattern`, and returns its first group. */
async function saidBy(child, stream, pattern) {
  let text = ''
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS)
  try {
    for await (const bytes of stream.iterator({ destroyOnReturn: false })) {
      text += bytes
      const said = pattern.exec(text)?.[1]
      if (said !== undefined) return said
    }
    throw new Error(`exited, or was not ready in time: ${text}`)
  } finally {
    clearTimeout(timer)
    stream.resume()
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

/** Fills one store through the older cwm. Returns its content, as a client sees it. */
async function made(store) {
  const { startSim } = await import(pathToFileURL(resolve(dist, 'sim/index.js')).href)
  const sim = await startSim({ eventFlushMs: 0, model: MODEL })
  try {
    const cwm = await startOld(store, sim)
    const held = await fill({ url: cwm.url, key: KEY, sim })
    await cwm.stop()
    return held
  } finally {
    await sim.close()
  }
}

/** The database file, without its write-ahead log. */
function sqliteFile() {
  const path = join(folder, 'data', 'cwm.sqlite')
  const db = new Libsql(path)
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  db.close()
  return readFileSync(path)
}

mkdirSync(out, { recursive: true })
try {
  const sqlite = await made('sqlite')
  writeFileSync(join(out, 'sqlite.db.gz'), gzipSync(sqliteFile(), { level: 9 }))
  const server = await startRedis()
  const redis = await made(server.url)
  const commands = await dump(server.url)
  await server.stop()
  writeFileSync(join(out, 'redis.json'), `[\n${commands.map((command) => JSON.stringify(command)).join(',\n')}\n]\n`)
  const held = { made_by: basename(resolve(out)), secret: SECRET, key: KEY, model: MODEL, sqlite, redis }
  writeFileSync(join(out, 'held.json'), `${JSON.stringify(held, null, 1)}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
