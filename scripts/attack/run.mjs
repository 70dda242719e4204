// One run of the attack in one mode: the list of known attacks, then generated ones, then the findings of all oracles.

import { mkdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { accountingFaults, leakFaults, sumsBy } from './accounting.mjs'
import { Client } from './client.mjs'
import { attackOf } from './generator.mjs'
import { faultsOf } from './judge.mjs'
import { runCases, runLastCases } from './run-cases.mjs'
import { modes, Stack } from './stack.mjs'
import { Stalls } from './stalls.mjs'

const SAMPLE_MS = 200
const QUIET_MS = 1_500
/** Long enough for idle upstream connections (3 s) and stalled clients (4 s) to be closed. */
const SETTLE_MS = 10_000
const POLL_MS = 250
const SHOWN = 60

/** Counts findings, and keeps the first ones as text. */
export class Findings {
  shown = []
  count = 0

  add(message) {
    this.count++
    if (this.shown.length < SHOWN) this.shown.push(message)
  }

  /** Adds a finding that is shown before all others. */
  addFirst(words) {
    this.count++
    this.shown.unshift(words)
  }
}

/**
 * `options`: `{ main, sim, mode, folder, requests, seconds, seed, lanes, large, huge, isPinned, repeat }`. Calls `say(text)` to report
 * progress. Resolves with the figures and findings.
 */
export async function attack(options, say) {
  await mkdir(options.folder, { recursive: true })
  const stack = await Stack.start(options)
  try {
    return await new Attack(stack, options, say).run()
  } finally {
    await stack.stop()
  }
}

class Attack {
  #stack
  #options
  #say
  #findings = new Findings()
  #statuses = new Map()
  #stalls = new Stalls()
  #underWay = new Set()
  /** The largest body in flight since the last stall measurement. */
  #largest = 0
  #sent = 0
  #unanswered = 0

  constructor(stack, options, say) {
    this.#stack = stack
    this.#options = options
    this.#say = say
  }

  async run() {
    const { honest, cwm, upstream } = this.#stack
    await honest.ask({ want: 'prepare' })
    await honest.ask({ want: 'latencies' })
    await sleep(QUIET_MS)
    const quiet = (await honest.ask({ want: 'latencies' })).latencies
    const before = await cwm.metrics()
    await cwm.longestStall()
    const sampling = this.#sample()
    const listed = await runCases(this.#stack, {
      ...this.#options,
      exchange: (client, plan) => this.#exchange(client, plan),
      found: (words) => this.#findings.add(words),
    })
    const began = performance.now()
    await this.#generate()
    const seconds = (performance.now() - began) / 1000
    const report = await honest.ask({ want: 'stop' })
    const last = await runLastCases(this.#stack, (words) => this.#findings.add(words))
    const after = await this.#settled(before)
    this.#sampling = false
    await sampling
    const recorded = await upstream.ask({ want: 'report' })
    const ended = await cwm.stop()
    const log = await cwm.readLog()
    this.#judgeEnd({ report, recorded, before, after, ended, log })
    return {
      ...{
        mode: this.#options.mode,
        listed: listed + last,
        sent: this.#sent,
        unanswered: this.#unanswered,
        seconds,
        statuses: this.#statuses,
      },
      ...{
        stalls: this.#stalls,
        quiet,
        attacked: report.latencies,
        turns: report.turns,
        recorded,
        warnings: log.warnings,
      },
      ...{ errors: log.errorCount, counted: sumsBy(after, 'cwm_requests_total', 'status'), findings: this.#findings },
    }
  }

  #judgeEnd({ report, recorded, before, after, ended, log }) {
    const add = (words) => this.#findings.addFirst(words)
    for (const words of report.faults) add(`honest tenant: ${words}`)
    for (const words of recorded.faults) add(`at the engine: ${words}`)
    for (const words of accountingFaults({ before, after, byStatus: log.byStatus })) add(`books: ${words}`)
    for (const line of log.errors) add(`log: ${line}`)
    if (ended !== 'ended with 0') add(`cwm ${ended}`)
  }

  /** The metrics once nothing is open any more, or after a generous timeout. */
  async #settled(before) {
    for (const end = performance.now() + SETTLE_MS; ; await sleep(POLL_MS)) {
      const after = await this.#stack.cwm.metrics()
      if (performance.now() > end || leakFaults({ before, after }).length === 0) return after
    }
  }

  #sampling = true

  async #sample() {
    while (this.#sampling) {
      await sleep(SAMPLE_MS)
      const stall = await this.#stack.cwm.longestStall()
      // Includes events from a time when cwm could not answer.
      this.#stalls.add(stall, this.#largest)
      this.#largest = Math.max(0, ...[...this.#underWay].map((plan) => plan.bodyBytes))
    }
  }

  async #generate() {
    const { requests, seconds, lanes, repeat } = this.#options
    const until = performance.now() + seconds * 1000
    const { salts } = await this.#stack.upstream.ask({ want: 'salts', owner: 'honest-a' })
    const context = this.#context(salts[0] ?? 'none')
    let next = 0
    let shownAt = performance.now()
    const lane = async () => {
      const client = new Client(this.#stack.cwm.port)
      while (next < requests && performance.now() < until) {
        const n = repeat ?? next
        next = repeat === undefined ? next + 1 : requests
        await this.#sendOne(client, attackOf(n, context))
        if (performance.now() - shownAt < 10_000) continue
        shownAt = performance.now()
        this.#say(`${next} of ${requests} requests, ${this.#findings.count} findings`)
      }
      client.close()
    }
    const all = Promise.all(Array.from({ length: Math.min(lanes, requests) }, lane))
    await Promise.race([all, this.#died()])
  }

  #died() {
    return this.#stack.cwm.ended.then((how) => {
      throw new Error(`cwm ${how} under attack\n${this.#stack.cwm.lastWords()}`)
    })
  }

  #context(stolen) {
    const { seed, large, huge, mode } = this.#options
    return { seed, large, huge, stolen, model: this.#stack.engine.model, isListed: modes[mode].isListed }
  }

  /** Registers the size of a body while it is in flight, which determines how long cwm may stall. */
  async #exchange(client, plan) {
    this.#underWay.add(plan)
    this.#largest = Math.max(this.#largest, plan.bodyBytes)
    const outcome = await client.exchange(plan)
    this.#underWay.delete(plan)
    return outcome
  }

  async #sendOne(client, plan) {
    const outcome = await this.#exchange(client, plan)
    this.#sent++
    if (outcome.answers.length === 0) this.#unanswered++
    for (const { status } of outcome.answers) this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1)
    const faults = faultsOf(plan, outcome)
    if (this.#options.repeat !== undefined) this.#say(describe(plan, outcome))
    if (faults.length > 0) {
      const { mode, seed } = this.#options
      const again = `npm run attack -- --mode '${mode}' --seed ${seed} --repeat ${plan.who.id.slice(1)}`
      this.#findings.add(`${plan.who.id} (${plan.notes.join(', ')}): ${faults.join('; ')}\n          ${again}`)
    }
  }
}

function describe(plan, { answers, closed, timedOut }) {
  const { method, target, headers, body, framing, delivery } = plan
  const head = headers.map(([name, value]) => `  ${name}: ${String(value).slice(0, 100)}`).join('\n')
  const shown =
    body === undefined ? '' : `\n  ${body.toString('utf8').slice(0, 500)} (${body.length} bytes, ${framing})`
  const got = answers.map(({ status, body: said }) => `  ${status} ${said.toString('utf8').slice(0, 500)}`).join('\n')
  return `${method} ${target}\n${head}${shown}\n  ${JSON.stringify(delivery)}\nanswered${closed ? ', closed' : ''}${timedOut ? ', timed out' : ''}\n${got}`
}
