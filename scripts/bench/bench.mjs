// One run: starts the mock upstream, the load client and the targets, then measures every cell once per round, alternating targets.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts, here, Process } from './processes.mjs'
import { foundOf, isCwm, Running } from './running.mjs'
import { isTimed } from './scenarios.mjs'
import { bytesIn } from './system.mjs'

const START_MS = 30_000
const MAX_WARM_MS = 20_000
/** The connections of a cell start over this period. Otherwise all streams would end at the same moment. */
const SPREAD_MS = 400
/** The first round's warm-up is this many times longer, because the JIT needs thousands of calls. */
const FIRST_WARM_TIMES = 4
/** First turns of the disk measurement in a quick run. */
const QUICK_TURNS = 1_000
const MAX_TURNS_MS = 600_000
/** A cwm that stops writes its whole log into its database. */
const ORDERLY_STOP_MS = 60_000

/**
 * `options`: cores, rounds, countMs, `tenants` (undefined: none are listed), `quick` (almost no warm-up), folder for logs and data, `flushDelay` of each cwm. `report` receives
 * lines of progress. `run` returns the cells, memory and disk use by target, how each cwm found its sessions, and how many of its flushes
 * were slowed.
 */
export class Bench {
  #options
  #report
  #started = []
  #upstream
  #load
  #runs = 0
  /** Names of the processes whose flushes are slowed. */
  #slowed = []

  constructor(options, report) {
    this.#options = options
    this.#report = report
  }

  async run(targets, scenarios) {
    try {
      const upstreamUrl = await this.#startUpstream()
      // Before the others start, so that it is alone on its core.
      const disk = await this.#measureDisks(targets, scenarios, upstreamUrl)
      const timed = scenarios.filter(isTimed)
      const running = timed.length === 0 ? [] : await this.#startTargets(targets, upstreamUrl)
      const cells = []
      for (let round = 1; round <= this.#options.rounds; round++) {
        // Alternating directions cancel drift within a round.
        const order = round % 2 === 1 ? running : running.toReversed()
        for (const scenario of timed) {
          for (const one of order) cells.push(...(await this.#measure(one, scenario, round)))
        }
      }
      const memory = running.flatMap(({ target, process }) =>
        process === undefined ? [] : [[target.name, process.memory]],
      )
      return {
        ...{ cells, disk, memory: Object.fromEntries(memory) },
        ...{ found: await foundOf(running), flushes: this.#flushes() },
      }
    } finally {
      await this.stop()
    }
  }

  /** Stops everything that was started, which makes a current run fail. */
  async stop() {
    await Promise.all(this.#started.map((one) => one.stop()))
  }

  async #startUpstream() {
    const { cores } = this.#options
    const [port] = await freePorts(1)
    const url = `http://127.0.0.1:${port}`
    this.#upstream = this.#start({
      args: [here('upstream.mjs'), String(port)],
      core: cores?.upstream,
      name: 'upstream',
    })
    await this.#upstream.answers(`${url}/health`, START_MS)
    this.#load = this.#start({ args: [here('load.mjs')], core: cores?.load, name: 'load', ipc: true })
    await this.#load.ask()
    return url
  }

  #start({ name, command = process.execPath, ...rest }) {
    const started = new Process({ command, logFile: join(this.#options.folder, `${name}.log`), ...rest })
    this.#started.push(started)
    return started
  }

  /** Starts the targets. A peer that does not start is reported and skipped; a target of ours must start. */
  async #startTargets(targets, upstream) {
    const ports = await freePorts(targets.length)
    const started = targets.map(async (target, n) => {
      if (target.start === undefined) return new Running(target, undefined, upstream, upstream)
      try {
        return await this.#startTarget(target, ports[n], upstream)
      } catch (error) {
        if (!target.isPeer) throw error
        this.#report(`skipping ${error.message}`)
      }
    })
    const running = await Promise.all(started)
    return running.filter((one) => one !== undefined)
  }

  async #startTarget(target, port, upstream) {
    const folder = join(this.#options.folder, target.name)
    mkdirSync(folder)
    const { tenants } = this.#options
    const { command, args, env, dataFolder } = target.start({ port, upstream, folder, tenants })
    const slow = isCwm(target) ? this.#options.flushDelay?.envFor(target.name) : undefined
    const core = this.#options.cores?.proxy
    const process = this.#start({ name: target.name, core, command, args, env: { ...env, ...slow } })
    const url = `http://127.0.0.1:${port}`
    try {
      await process.answers(url + (target.readyPath ?? '/v1/models'), target.readyMs ?? START_MS)
    } catch (error) {
      throw new Error(`${target.name}: it did not start: ${error.message}`, { cause: error })
    }
    // It has flushed its new file by now.
    if (slow !== undefined && this.#options.flushDelay.countOf(target.name) === 0) {
      throw new Error(`${target.name}: its flushes are not slowed: it ignores LD_PRELOAD`)
    }
    if (slow !== undefined) this.#slowed.push(target.name)
    return new Running(target, process, url, upstream, { dataFolder, tenants })
  }

  /** By target, for each cwm that first turns are sent to. */
  async #measureDisks(targets, scenarios, upstream) {
    const disk = {}
    for (const scenario of scenarios.filter((one) => !isTimed(one))) {
      for (const target of targets.filter(({ session }) => session === 'first')) {
        disk[target.name] = await this.#measureDisk(target, scenario, upstream)
      }
    }
    return disk
  }

  /** The size of the data of a separate cwm, after first turns and an orderly stop. */
  async #measureDisk(target, scenario, upstream) {
    const [port] = await freePorts(1)
    const turns = this.#options.quick ? QUICK_TURNS : scenario.turns
    const name = `${scenario.name}-${target.name}`
    const { process, forLoad, dataFolder } = await this.#startTarget({ ...target, name }, port, upstream)
    const job = { target: forLoad, scenario, run: this.#runs++, turns, maxMs: MAX_TURNS_MS }
    const { result, error } = await this.#load.ask(job)
    if (error !== undefined || result.failed > 0) throw new Error(`${name}: ${error ?? result.errors.join(', ')}`)
    const how = await process.stop(ORDERLY_STOP_MS)
    if (how !== 'ended with 0') throw new Error(`${name}: it must stop in order, but ${how}\n${process.lastWords()}`)
    const bytes = bytesIn(dataFolder)
    this.#report(`${name}: ${turns} turns in ${(result.ms / 1000).toFixed(0)} s left ${(bytes / 1e6).toFixed(1)} MB`)
    return { turns, bytes }
  }

  /** How many flushes of each cwm were slowed; undefined if none are. */
  #flushes() {
    const { flushDelay } = this.#options
    return flushDelay && Object.fromEntries(this.#slowed.map((name) => [name, flushDelay.countOf(name)]))
  }

  /** The measured cell; none for a peer that does not answer properly. */
  async #measure({ target, process, forLoad }, scenario, round) {
    const { countMs, rounds, quick } = this.#options
    const watched = { upstream: this.#upstream.pids, load: this.#load.pids, ...(process && { proxy: process.pids }) }
    const warmRequests = quick ? scenario.connections : scenario.warm * (round === 1 ? FIRST_WARM_TIMES : 1)
    const run = this.#runs++
    const spreadMs = quick ? 0 : SPREAD_MS
    const job = { target: forLoad, scenario, run, spreadMs, warmRequests, maxWarmMs: MAX_WARM_MS, countMs, watched }
    const answer = await this.#load.ask(job)
    if (answer.error !== undefined) {
      const message = `${target.name}, ${scenario.name}: ${answer.error}`
      if (!target.isPeer) throw new Error(message)
      this.#report(`skipping ${message}`)
      return []
    }
    const cell = { target: target.name, scenario: scenario.name, round, ...answer.result }
    this.#report(`round ${round}/${rounds}  ${scenario.name.padEnd(9)} ${target.name.padEnd(11)} ${inBrief(cell)}`)
    return [cell]
  }
}

function inBrief({ answers, ms, p50, cpuUs, failed, errors }) {
  const rate = `${((answers / ms) * 1000).toFixed(0).padStart(6)}/s`
  const cpu = cpuUs.proxy === undefined ? '' : `  ${(cpuUs.proxy / answers).toFixed(0).padStart(6)} µs`
  const failures = failed === 0 ? '' : `  ${failed} FAILED: ${errors.join(', ')}`
  return `${rate}  p50 ${p50?.toFixed(2).padStart(7) ?? '-'} ms${cpu}${failures}`
}
