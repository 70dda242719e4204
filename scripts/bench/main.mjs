// `npm run bench`: what cwm costs beside no proxy, nginx, and a proxy that does nothing, in one run. See docs/performance.md.

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

const REFUSED = 2

const tell = (words) => console.error(`bench: ${words}`)

/** Whether anything listens where the engine would: one that starts, or hangs, spins as well and answers nothing. */
async function engineListens() {
  const socket = connect(Number(process.env.VLLM_PORT ?? 8000), '127.0.0.1')
  const isOpen = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return isOpen
}

/** Resolves with the signal that ends this process. */
const signalled = () =>
  new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve)
  })

/** What was asked for and can be had; the rest is told of. */
function obtain(options) {
  const own = options.targets.filter((target) => {
    const missing = target.missing?.()
    if (missing) tell(`without ${target.name}; to have it: ${missing}`)
    return !missing
  })
  const others = options.peers.flatMap((peer) => {
    try {
      return [installPeer(peer, tell)]
    } catch (error) {
      tell(`without ${peer.name}: it cannot be installed: ${error.message}`)
      return []
    }
  })
  return [...own, ...others]
}

function write(options, report, text) {
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
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
  for (const words of options.faults) tell(words)
  if (options.faults.length > 0) return REFUSED
  if (!options.force && (await engineListens())) {
    tell('an engine listens on this machine and spins on the same cores; first: npm run engine:down')
    return REFUSED
  }
  const chosen = obtain(options)
  const cores = options.pins ? chooseCores() : undefined
  const folder = mkdtempSync(join(tmpdir(), 'cwm-bench-'))
  try {
    const bench = new Bench({ ...options, cores, folder }, tell)
    const measured = await Promise.race([bench.run(chosen, options.scenarios), signalled()])
    if (typeof measured === 'string') {
      // What it started would go on, on the cores that the next run is pinned to.
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
    if (results.failed > 0) tell(`${results.failed} requests failed: no figure of this run counts`)
    return exitCodeOf({ judged, failed: results.failed, check: options.check })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
