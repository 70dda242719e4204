// `npm run soak`: minutes of mixed load on `cwm serve`. Every answer is verified; memory and sockets are monitored. Described in docs/soak.md.
//   npm run soak -- --minutes 2        a shorter run (default 10, minimum 2)
//   --per-minute 10000                 new sessions per minute
//   --svg FILE  --seed N               output file of the plot; random seed
//   --node=--heap-prof                 Node flags for the proxy
//   --leak 2                           makes the proxy leak this many MiB per minute; the run must fail
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startSim } from '../../dist/sim/index.js'
import { Load } from './load.mjs'
import { plot } from './plot.mjs'
import { ProxyProcess } from './proxy.mjs'
import { Tally } from './tally.mjs'
import { ScriptedUpstream } from './upstream.mjs'
import { faultsOf, judgedOf, MIB, riseOf } from './verdict.mjs'

const SAMPLE_MS = 1_000
const PROGRESS_MS = 10_000
/** Samples between two full garbage collections. Without collections, garbage would hide how much of the heap is live. */
const COLLECT_EVERY = 2
/** Long enough for idle connections to be closed: to the upstream after four seconds, to clients after five. */
const QUIET_MS = 7_000
/** How much longer than requested a run may take to start all its sessions, as a factor. */
const MOST_TIMES = 2
/** The breaker tests the upstream after two seconds (breaker_open_ms), and closes when it answers. */
const AFTERMATH_MS = 3_500

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    'per-minute': { type: 'string', default: '10000' },
    svg: { type: 'string' },
    seed: { type: 'string', default: '1' },
    node: { type: 'string', default: '' },
    leak: { type: 'string', default: '0' },
  },
})
const minutes = Number(values.minutes)
const perMinute = Number(values['per-minute'])
const leak = Number(values.leak)
const planned = Math.round(minutes * perMinute)

/** Small limits, so that all caches are full within the first minutes. Growth after that is not caching. */
const settings = (upstream, sim, folder) => ({
  upstream: upstream.url,
  coordinator: sim.coordinatorUrl,
  'data-dir': folder,
  'tracking-bytes': 4 * MIB,
  'retain-bytes': 8 * MIB,
  'base-window-bytes': 4 * MIB,
  'events-keep': 1_000,
  'audit-keep': 1_000,
  'headers-timeout-ms': 10_000,
  'stream-timeout-ms': 5_000,
})

const nodeFlags = [
  ...values.node.split(' ').filter((flag) => flag !== ''),
  ...(leak > 0 ? ['--import', new URL(`leak.mjs?${leak}`, import.meta.url).href] : []),
]

const mib = (bytes) => (bytes / MIB).toFixed(0).padStart(4)

function progress(sample, last, load, tally) {
  const seconds = (sample.minutes - last.minutes) * 60
  const cpu = ((sample.cpuSeconds - last.cpuSeconds) / seconds) * 100
  console.log(
    `${sample.minutes.toFixed(1).padStart(5)} min  ${String(load.sessions).padStart(6)} sessions  ${String(tally.total).padStart(6)} answers, ` +
      `${tally.wrong} wrong  rss ${mib(sample.rssBytes)} MiB  heap ${mib(sample.heapBytes)} MiB  sockets ${String(sample.sockets).padStart(4)}  ` +
      `in flight ${String(sample.inFlight).padStart(3)}  lag ${sample.lagMs.toFixed(0).padStart(3)} ms  cpu ${cpu.toFixed(0).padStart(3)}%`,
  )
}

const minutesSince = (began) => (performance.now() - began) / 60_000

async function watch(proxy, load, tally, began) {
  const samples = []
  let shown = { minutes: 0, cpuSeconds: (await proxy.look()).cpuSeconds }
  // A slow machine takes longer for the same number of sessions.
  const goesOn = (n) => n * SAMPLE_MS <= minutes * 60_000 * (load.sessions < planned ? MOST_TIMES : 1)
  for (let n = 1; goesOn(n); n++) {
    await sleep(Math.max(0, began + n * SAMPLE_MS - performance.now()))
    const look = n % COLLECT_EVERY === 0 ? await proxy.lookCollected() : await proxy.look()
    const sample = { minutes: minutesSince(began), ...look }
    samples.push(sample)
    if ((n * SAMPLE_MS) % PROGRESS_MS !== 0) continue
    progress(sample, shown, load, tally)
    shown = sample
  }
  return samples
}

async function errorsIn(logFile) {
  const errors = []
  for await (const line of createInterface({ input: createReadStream(logFile) })) {
    if (!line.startsWith('{')) continue
    if (['error', 'fatal'].includes(JSON.parse(line).level)) errors.push(line)
  }
  return errors
}

async function soak(folder) {
  const sim = await startSim({ maxModelLen: 262_144, requestLog: 10 })
  const upstream = new ScriptedUpstream(sim.engineUrl)
  await upstream.start()
  const logFile = join(folder, 'cwm.log')
  const proxy = await ProxyProcess.start(settings(upstream, sim, folder), logFile, nodeFlags)
  const tally = new Tally()
  try {
    await sleep(QUIET_MS)
    const before = await proxy.lookCollected()
    const began = performance.now()
    const atRest = []
    const load = new Load({
      ...{ url: proxy.url, upstream, tally, seed: Number(values.seed) },
      ...{ perSecond: perMinute / 60, aftermathMs: AFTERMATH_MS },
      whileAway: async () => {
        const sample = await proxy.lookCollected().catch(() => undefined)
        // If the proxy is gone, the run ends below.
        if (sample !== undefined) atRest.push({ minutes: minutesSince(began), ...sample, atRest: true })
      },
    })
    load.start()
    const watched = await Promise.race([watch(proxy, load, tally, began), proxy.ended.then(diedUnderLoad)])
    await load.stop()
    const samples = [...watched, ...atRest].sort((a, b) => a.minutes - b.minutes)
    await sleep(QUIET_MS)
    const after = await proxy.lookCollected()
    const exit = await proxy.stop()
    return { samples, before, after, exit, tally, sessions: load.sessions, errors: await errorsIn(logFile) }
  } finally {
    await proxy.stop()
    await upstream.stop()
    await sim.close()
  }
}

function diedUnderLoad(code) {
  throw new Error(`cwm died under load: ${code}`)
}

function report({ samples, before, after, exit, tally, sessions, errors }) {
  const faults = faultsOf({
    ...{ samples, before, after, exit, sessions },
    ...{ wrong: tally.wrong, errors: errors.length, planned },
  })
  const judged = judgedOf(samples)
  const rise = (field) => (riseOf(samples, field) / MIB).toFixed(2)
  const worst = (read) => Math.max(...samples.map(read))
  console.log(`\nanswers   ${tally.counts.map(([name, count]) => `${name} ${count}`).join(' · ')}`)
  for (const words of tally.shown) console.log(`wrong     ${words}`)
  for (const line of errors.slice(0, 5)) console.log(`log       ${line.slice(0, 500)}`)
  const span = `${judged[0].minutes.toFixed(1)} to ${judged.at(-1).minutes.toFixed(1)}`
  console.log(
    `memory    ${mib(before.rssBytes)} MiB before, ${mib(worst(({ rssBytes }) => rssBytes))} peak, ${mib(after.rssBytes)} after; ` +
      `rises by ${rise('rssBytes')} MiB per minute (minutes ${span})`,
  )
  console.log(
    `of this   live heap ${mib(after.heapBytes)} MiB after, rises by ${rise('heapBytes')}; buffers and other external ${mib(after.externalBytes)} MiB, ` +
      `by ${rise('externalBytes')}; pages of files ${mib(after.fileBytes)} MiB, by ${rise('fileBytes')}`,
  )
  console.log(`sockets   ${before.sockets} before, ${worst(({ sockets }) => sockets)} peak, ${after.sockets} after`)
  const cpu = (samples.at(-1).cpuSeconds - samples[0].cpuSeconds) / ((samples.at(-1).minutes - samples[0].minutes) * 60)
  console.log(
    `load      ${sessions} sessions, ${tally.total} answers, ${(cpu * 100).toFixed(0)}% of a core; event loop delay at most ${worst(({ lagMs }) => lagMs).toFixed(0)} ms`,
  )
  console.log(faults.length === 0 ? 'verdict   good' : faults.map((words) => `FAILED    ${words}`).join('\n'))
  return faults.length === 0
}

// With less than two minutes, the second half has too few samples for a slope.
if (!(minutes >= 2 && perMinute > 0 && leak >= 0)) {
  console.error('--minutes must be at least 2, --per-minute more than 0, --leak at least 0')
  process.exit(2)
}
if (process.platform !== 'linux') {
  console.error('the soak runs on Linux only, because it reads memory and sockets from /proc')
  process.exit(2)
}
const folder = await mkdtemp(join(tmpdir(), 'cwm-soak-'))
try {
  const result = await soak(folder)
  const file = values.svg ?? (minutes >= 10 ? 'docs/soak.svg' : join(tmpdir(), 'cwm-soak.svg'))
  await writeFile(file, plot(result.samples))
  process.exitCode = report(result) ? 0 : 1
  console.log(`plot      ${file}`)
} finally {
  await rm(folder, { recursive: true, force: true })
}
