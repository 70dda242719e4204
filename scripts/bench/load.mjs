// The load client, a process of its own: it is sent a cell, runs it, and sends back what it measured. It reads everybody's CPU time
// itself, at the very moments between which it counts.

import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from './client.mjs'
import { isStream } from './scenarios.mjs'
import { percentile } from './stats.mjs'
import { cpuBetween, cpuOf } from './system.mjs'

const SHOWN_FAULTS = 3
const POLL_MS = 10

class Tally {
  isCounting = false
  finished = 0
  answers = 0
  failed = 0
  latencies = []
  firsts = []
  faults = new Set()
  #sessions = new Set()

  /** A share of an answer came: streams end in batches, and a count of ends would depend on where it is cut off. */
  see(share) {
    if (this.isCounting) this.answers += share
  }

  /** Whether no answer of this cell came from that session before; undefined is no session. */
  begins(session) {
    const before = this.#sessions.size
    return this.#sessions.add(session).size > before
  }

  add(latencyMs, firstMs) {
    this.finished++
    if (!this.isCounting) return
    this.latencies.push(latencyMs)
    this.firsts.push(firstMs)
  }

  fail(fault) {
    this.failed++
    if (this.faults.size < SHOWN_FAULTS) this.faults.add(fault)
  }
}

/** Lets all connections go at once, each time the last of them has come to wait. */
class Barrier {
  #waiting = []
  #count

  constructor(count) {
    this.#count = count
  }

  wait(go) {
    if (this.#waiting.push(go) < this.#count) return
    const all = this.#waiting
    this.#waiting = []
    for (const each of all) each()
  }
}

async function warm(tally, { spreadMs, warmRequests, maxWarmMs }) {
  const began = performance.now()
  await sleep(spreadMs)
  while (tally.finished < warmRequests && performance.now() - began < maxWarmMs) await sleep(POLL_MS)
}

const look = (watch) => ({
  at: performance.now(),
  cpu: Object.fromEntries(Object.entries(watch).map(([name, pids]) => [name, cpuOf(pids)])),
})

async function count(tally, { countMs, watch }) {
  const before = look(watch)
  tally.isCounting = true
  await sleep(countMs)
  const after = look(watch)
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
  const { ms, cpuUs } = await count(tally, job)
  for (const start of starts) clearTimeout(start)
  await Promise.all(clients.map((client) => client.stop()))
  const ascending = (values) => values.sort((a, b) => a - b)
  const [latencies, firsts] = [ascending(tally.latencies), ascending(tally.firsts)]
  return {
    ...{ ms, cpuUs, answers: tally.answers, timed: latencies.length, failed: tally.failed, faults: [...tally.faults] },
    ...{ p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) },
    ...(isStream(scenario) ? { ttftP50: percentile(firsts, 0.5), ttftP99: percentile(firsts, 0.99) } : {}),
  }
}

process.on('message', async (job) => {
  try {
    process.send({ result: await run(job) })
  } catch (error) {
    process.send({ error: error.message })
  }
})
process.on('disconnect', () => process.exit())
process.send('ready')
