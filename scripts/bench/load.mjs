// The load client, a separate process: receives a cell, runs it, and sends back the measurements. It reads every process's CPU time
// itself, exactly at the start and the end of counting.

import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from './client.mjs'
import { isStream } from './scenarios.mjs'
import { percentile } from './stats.mjs'
import { cpuBetween, cpuOf } from './system.mjs'

const MAX_ERRORS = 3
const POLL_MS = 10

class Tally {
  isCounting = false
  finished = 0
  answers = 0
  failed = 0
  latencies = []
  firsts = []
  errors = new Set()
  #sessions = new Set()

  /** Counts part of an answer. Streams end in batches, so a count of whole answers would depend on when counting ends. */
  count(share) {
    if (this.isCounting) this.answers += share
  }

  /** Whether the session is new in this cell; undefined means no session. */
  isNewSession(session) {
    const before = this.#sessions.size
    return this.#sessions.add(session).size > before
  }

  add(latencyMs, firstMs) {
    this.finished++
    if (!this.isCounting) return
    this.latencies.push(latencyMs)
    this.firsts.push(firstMs)
  }

  fail(error) {
    this.failed++
    if (this.errors.size < MAX_ERRORS) this.errors.add(error)
  }
}

/** Holds all connections until the last one arrives, then releases them together. */
class Barrier {
  #waiting = []
  #count

  constructor(count) {
    this.#count = count
  }

  wait(release) {
    if (this.#waiting.push(release) < this.#count) return
    const all = this.#waiting
    this.#waiting = []
    for (const release of all) release()
  }
}

/** Lets this many requests pass in all, and none after them. */
class Quota {
  #left

  constructor(count) {
    this.#left = count
  }

  wait(release) {
    if (this.#left-- > 0) release()
  }
}

/** Sends `turns` requests in all. Throws if they are not answered within `maxMs`. */
async function sendTurns({ turns, maxMs, ...job }) {
  const tally = new Tally()
  const { connections } = job.scenario
  const quota = new Quota(turns - connections)
  const clients = Array.from({ length: connections }, (_, n) => new Client(job, n, tally, quota))
  const began = performance.now()
  for (const client of clients) await client.deliver()
  for (const client of clients) client.start()
  const sent = () => connections + tally.finished + tally.failed
  while (sent() < turns && performance.now() - began < maxMs) await sleep(POLL_MS)
  await Promise.all(clients.map((client) => client.stop()))
  if (sent() < turns) throw new Error(`only ${sent()} of ${turns} turns in ${maxMs / 1000} s`)
  return { ms: performance.now() - began, failed: tally.failed, errors: [...tally.errors] }
}

async function warm(tally, { spreadMs, warmRequests, maxWarmMs }) {
  const began = performance.now()
  await sleep(spreadMs)
  while (tally.finished < warmRequests && performance.now() - began < maxWarmMs) await sleep(POLL_MS)
}

const measure = (watched) => ({
  at: performance.now(),
  cpu: Object.fromEntries(Object.entries(watched).map(([name, pids]) => [name, cpuOf(pids)])),
})

async function measureCell(tally, { countMs, watched }) {
  const before = measure(watched)
  tally.isCounting = true
  await sleep(countMs)
  const after = measure(watched)
  tally.isCounting = false
  const cpu = Object.entries(after.cpu).map(([name, had]) => [name, cpuBetween(before.cpu[name], had)])
  return { ms: after.at - before.at, cpuUs: Object.fromEntries(cpu) }
}

async function run(job) {
  const { scenario } = job
  const tally = new Tally()
  const barrier = scenario.inBursts ? new Barrier(scenario.connections) : undefined
  const clients = Array.from({ length: scenario.connections }, (_, n) => new Client(job, n, tally, barrier))
  for (const client of clients) await client.deliver()
  const starts = clients.map((client, n) => setTimeout(() => client.start(), (n * job.spreadMs) / clients.length))
  await warm(tally, job)
  const { ms, cpuUs } = await measureCell(tally, job)
  for (const start of starts) clearTimeout(start)
  await Promise.all(clients.map((client) => client.stop()))
  const ascending = (values) => values.sort((a, b) => a - b)
  const [latencies, firsts] = [ascending(tally.latencies), ascending(tally.firsts)]
  return {
    ...{ ms, cpuUs, answers: tally.answers, timed: latencies.length, failed: tally.failed, errors: [...tally.errors] },
    ...{ p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) },
    ...(isStream(scenario) ? { ttftP50: percentile(firsts, 0.5), ttftP99: percentile(firsts, 0.99) } : {}),
  }
}

process.on('message', async (job) => {
  try {
    process.send({ result: await (job.turns === undefined ? run(job) : sendTurns(job)) })
  } catch (error) {
    process.send({ error: error.message })
  }
})
process.on('disconnect', () => process.exit())
process.send('ready')
