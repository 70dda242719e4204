// `npm run bench` compares cwm with no proxy, nginx, and a pass-through proxy in one run. See docs/performance.md.

import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { constants, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { aimsFor, exitCodeOf, judge } from './aims.mjs'
import { Bench } from './bench.mjs'
import { buildFlushDelay } from './flush-delay.mjs'
import { marksOf, readOptions, usage } from './options.mjs'
import { installPeer, peers } from './peers.mjs'
import { chooseCores } from './processes.mjs'
import { reportOf } from './report.mjs'
import { Results } from './results.mjs'
import { scenarios } from './scenarios.mjs'
import { markdown } from './table.mjs'
import { targets } from './targets.mjs'

const REJECTED = 2

const report = (line) => console.error(`bench: ${line}`)

/** Whether anything listens on the engine's port. An engine uses CPU even while it starts or hangs, so no answer is required. */
async function engineListens() {
  const socket = connect(Number(process.env.VLLM_PORT ?? 8000), '127.0.0.1')
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isOpen
}

/** Resolves with a termination signal. */
const terminationSignal = () =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve)
  })

/** The requested targets that are available; reports the others. */
function availableTargets(options) {
  const own = options.targets.filter((target) => {
    const missing = target.missing?.()
    if (missing) report(`skipping ${target.name}, which is not installed (${missing})`)
    return !missing
  })
  const others = options.peers.flatMap((peer) => {
    try {
      return [installPeer(peer, report)]
    } catch (error) {
      report(`skipping ${peer.name}: it cannot be installed: ${error.message}`)
      return []
    }
  })
  return [...own, ...others]
}

function write(options, json, text) {
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(json, null, 2)}\n`)
  if (options.markdown === undefined) return
  const page = readFileSync(options.markdown, 'utf8')
  const marks = marksOf(options.flushMs)
  const [from, to] = [page.indexOf(marks[0]) + marks[0].length, page.indexOf(marks[1])]
  writeFileSync(options.markdown, `${page.slice(0, from)}\n\n${text}\n${page.slice(to)}`)
}

const machineOf = ({ force, flushMs, tenants }, cores) => ({
  ...{ cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, at: new Date().toISOString() },
  ...{ pinned: cores, besideEngine: force, flushMs, tenants },
})

/** Measures and prints everything. `folder`: for what must not remain. Resolves with the exit code. */
async function measure(options, folder) {
  const { error, flushDelay } = options.flushMs === undefined ? {} : buildFlushDelay(options.flushMs, folder)
  if (error !== undefined) {
    report(error)
    return REJECTED
  }
  const chosen = availableTargets(options)
  const cores = options.pins ? chooseCores() : undefined
  const bench = new Bench({ ...options, cores, folder, flushDelay }, report)
  const measured = await Promise.race([bench.run(chosen, options.scenarios), terminationSignal()])
  if (typeof measured === 'string') {
    // Otherwise the started processes would continue on the cores of the next run.
    await bench.stop()
    return 128 + constants.signals[measured]
  }
  const { cells, memory, disk, found, flushes } = measured
  const results = new Results(cells, memory, disk)
  const judged = judge(results, aimsFor(options.scenarios, options.targets))
  const run = {
    results,
    judged,
    flushes,
    machine: machineOf(options, cores),
    scenarios: options.scenarios,
    targets: chosen,
  }
  const text = markdown(run)
  console.log(text)
  write(options, { ...reportOf(run), found, cells }, text)
  if (results.failed > 0) report(`${results.failed} requests failed, so this run's figures are invalid`)
  return exitCodeOf({ judged, failed: results.failed, check: options.check })
}

async function main() {
  const options = readOptions(process.argv.slice(2), { scenarios, targets, peers })
  if (options.help) {
    console.log(usage)
    return 0
  }
  for (const error of options.errors) report(error)
  if (options.errors.length > 0) return REJECTED
  if (!options.force && (await engineListens())) {
    report('an engine on this machine uses the same cores; stop it first with npm run engine:down, or use --force')
    return REJECTED
  }
  const folder = mkdtempSync(join(tmpdir(), 'cwm-bench-'))
  try {
    return await measure(options, folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
