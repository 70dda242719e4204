// `npm run bench` compares cwm with no proxy, nginx, and a pass-through proxy in one run. See docs/performance.md.

import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { constants, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitCodeOf, judge } from './aims.mjs'
import { Bench } from './bench.mjs'
import { MARKS, readOptions, usage } from './options.mjs'
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
  const [from, to] = [page.indexOf(MARKS[0]) + MARKS[0].length, page.indexOf(MARKS[1])]
  writeFileSync(options.markdown, `${page.slice(0, from)}\n\n${text}\n${page.slice(to)}`)
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
  const chosen = availableTargets(options)
  const cores = options.pins ? chooseCores() : undefined
  const folder = mkdtempSync(join(tmpdir(), 'cwm-bench-'))
  try {
    const bench = new Bench({ ...options, cores, folder }, report)
    const measured = await Promise.race([bench.run(chosen, options.scenarios), terminationSignal()])
    if (typeof measured === 'string') {
      // Otherwise the started processes would continue on the cores of the next run.
      await bench.stop()
      return 128 + constants.signals[measured]
    }
    const results = new Results(measured.cells, measured.memory)
    const judged = judge(results)
    const machine = {
      ...{ cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, at: new Date().toISOString() },
      ...{ pinned: cores, besideEngine: options.force },
    }
    const run = { results, judged, machine, scenarios: options.scenarios, targets: chosen }
    const text = markdown(run)
    console.log(text)
    write(options, { ...reportOf(run), found: measured.found, cells: measured.cells }, text)
    if (results.failed > 0) report(`${results.failed} requests failed, so this run's figures are invalid`)
    return exitCodeOf({ judged, failed: results.failed, check: options.check })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
