// Measures the passage index: memory and time to index windows, time to search them, and how long the event loop stands still meanwhile, both
// by the clock and by the CPU time of the main thread, which other load on the machine does not change. Linux only.
// Run with `npm run bench:passages`; `-- --windows 200 --characters 100000` are the defaults. `-- --stalls` measures the CPU time, for which the
// main thread spins, so that everything else takes longer.

import { mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { silentLogger } from '../../dist/base/logger.js'
import { createMetrics } from '../../dist/base/metrics.js'
import { PassageIndex } from '../../dist/passages/passage-index.js'
import { openSqliteStore } from '../../dist/store/sqlite/sqlite.js'
import { textsWithFacts } from './texts.mjs'

const TENANT = 'acme'
const MB = 1_000_000
const threadStat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
const statBytes = Buffer.alloc(64)
const { values } = parseArgs({
  options: {
    windows: { type: 'string', default: '200' },
    characters: { type: 'string', default: '100000' },
    stalls: { type: 'boolean', default: false },
    questions: { type: 'string', default: '400' },
  },
})
const [windows, characters, questions] = [values.windows, values.characters, values.questions].map(Number)

const folder = mkdtempSync(join(tmpdir(), 'cwm-bench-passages-'))
const store = await openSqliteStore({ path: join(folder, 'cwm.sqlite'), log: silentLogger, soleWriter: true })
const { texts, cases } = textsWithFacts({ seed: 7, count: windows, characters, facts: 2 })
const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
for (const [n, text] of texts.entries()) await store.reserveWindow(aWindow(n), contentOf(text))
texts.length = 0
const records = Array.from({ length: windows }, (_, n) => aWindow(n))

const metrics = createMetrics()
const index = new PassageIndex({
  store,
  events: {},
  maxBytes: 1_024 * MB,
  metrics,
  log: silentLogger,
  now: () => Date.now(),
})
const { signal } = new AbortController()
const ask = (question) => index.rank(TENANT, records, question, 8, signal)

globalThis.gc?.()
const rss = process.memoryUsage().rss
const built = await watched(() => ask(cases[0].question))
const grown = process.memoryUsage().rss - rss
let found = 0
const searched = await watched(async () => {
  for (const { question, text } of cases.slice(0, questions)) {
    if ((await ask(question)).some(({ window }) => window === `w${text}`)) found++
  }
})
const quoted = await watched(async () => {
  for (const { fact, text } of cases.slice(0, questions)) await index.passageOf(TENANT, records[text], fact, signal)
})
const dropped = await watched(async () => {
  index.forget(TENANT, 'w0')
  await ask(cases[0].question)
})
const indexBytes = Number(/^cwm_passage_index_bytes (\d+)$/m.exec(await metrics.text())?.[1])
await index.close()
await store.close()
rmSync(folder, { recursive: true, force: true })

const asked = Math.min(questions, cases.length)
console.log(`windows          ${windows} with ${(bytes / MB).toFixed(1)} MB of text`)
console.log(`first question   ${built.ms.toFixed(0)} ms, which index everything; longest stall ${built.stall}`)
console.log(
  `memory           ${(indexBytes / MB).toFixed(1)} MB in the index; the process grew by ${(grown / MB).toFixed(1)} MB`,
)
console.log(
  `later questions  ${(searched.ms / asked).toFixed(1)} ms each; longest stall ${searched.stall}; window found ${found} of ${asked}`,
)
console.log(`quotes           ${(quoted.ms / asked).toFixed(1)} ms each; longest stall ${quoted.stall}`)
console.log(`delete and ask   ${dropped.ms.toFixed(1)} ms; longest stall ${dropped.stall}`)

async function watched(work) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let running = true
  let last = threadMs()
  let cpuMs = 0
  const look = () => {
    const now = threadMs()
    cpuMs = Math.max(cpuMs, now - last)
    last = now
    if (running) setImmediate(look)
  }
  delay.enable()
  if (values.stalls) look()
  const start = performance.now()
  await work()
  const ms = performance.now() - start
  // One more sample, after the last piece of work.
  await new Promise((resolve) => setTimeout(resolve, 5))
  running = false
  delay.disable()
  const clock = `${(delay.max / 1e6).toFixed(1)} ms by the clock`
  return { ms, stall: values.stalls ? `${cpuMs.toFixed(1)} ms of CPU, ${clock}` : clock }
}

/** The main thread's CPU time so far, in milliseconds. */
function threadMs() {
  const length = readSync(threadStat, statBytes, 0, statBytes.length, 0)
  return Number.parseInt(statBytes.latin1Slice(0, length), 10) / 1e6
}

function aWindow(n) {
  return {
    tenant: TENANT,
    name: `w${n}`,
    id: `window ${n}`,
    state: 'frozen',
    origin: 'content',
    lineage: `lineage ${n}`,
    tags: [],
    dialect: 'chat',
    model: 'm',
    kvEpoch: 0,
    messageCount: 1,
    replyAt: 1,
    bytes: 0,
    createdAt: n,
    pin: 'none',
  }
}

function contentOf(text) {
  // As many ids as a text of this size has.
  const tokenIds = new Uint32Array(Math.round(text.length / 4))
  return { prompt: { dialect: 'chat', model: 'm', messages: [{ role: 'user', content: text }], shaping: {} }, tokenIds }
}
