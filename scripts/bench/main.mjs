// `npm run bench`: what cwm costs beside no proxy, nginx, and a proxy that does nothing, in one run. See docs/performance.md.

import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { judge } from './aims.mjs'
import { cpuMicros, listening, peakMegabytes, start, stop } from './process.mjs'
import { isStream, scenarios } from './scenarios.mjs'
import { median } from './stats.mjs'
import { markdown } from './table.mjs'
import { targets } from './targets.mjs'

const FIRST_PORT = 18_700
const PROXY_CORE = 0
const LOAD_CORE = 1
const MARKS = ['<!-- bench -->', '<!-- /bench -->']

const here = (file) => fileURLToPath(new URL(file, import.meta.url))
const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    targets: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    force: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    'no-pin': { type: 'boolean', default: false },
    json: { type: 'string' },
    markdown: { type: 'string' },
  },
})
const chosen = (list, names) =>
  names === undefined ? list : list.filter(({ name }) => names.split(',').includes(name))

async function engineAnswers() {
  const url = `http://127.0.0.1:${process.env.VLLM_PORT ?? 8000}/health`
  return await fetch(url, { signal: AbortSignal.timeout(1_000) }).then(
    () => true,
    () => false,
  )
}

/** One job for the clients, with the CPU that the proxy had meanwhile. */
async function measure(load, job, pid) {
  let before
  let cpu = null
  const read = () => (pid === undefined ? null : cpuMicros(pid))
  load.send(job)
  for (;;) {
    const [message] = await once(load, 'message')
    if (message.kind === 'warm') before = read()
    else if (message.kind === 'measured') cpu = before === null ? null : read() - before
    else {
      const units = isStream(scenarios.find(({ name }) => name === job.scenario)) ? message.events : message.requests
      return { ...message, cpu: cpu === null || units === 0 ? null : cpu / units }
    }
  }
}

function summary(rounds) {
  const fields = ['requestsPerSecond', 'eventsPerSecond', 'p50', 'p99', 'ttft50', 'ttft99', 'cpu', 'clientShare']
  const failures = rounds.reduce((sum, round) => sum + round.failures, 0)
  return {
    ...Object.fromEntries(fields.map((field) => [field, median(rounds.map((round) => round[field]))])),
    failures,
  }
}

async function main() {
  if (!options.force && (await engineAnswers())) {
    console.error('bench: an engine answers on this machine and spins on the same cores; first: npm run engine:down')
    return 2
  }
  const pinned = !options['no-pin'] && process.platform === 'linux' && cpus().length > 1
  const [proxyCore, loadCore] = pinned ? [PROXY_CORE, LOAD_CORE] : []
  const dir = mkdtempSync(join(tmpdir(), 'cwm-bench-'))
  const children = []
  try {
    const upstreamPort = FIRST_PORT
    const mock = start(process.execPath, [here('upstream.mjs'), upstreamPort], { core: loadCore })
    children.push(mock)
    await listening(mock, upstreamPort, 'the mock upstream')
    const running = []
    for (const [n, target] of chosen(targets, options.targets).entries()) {
      if (target.why !== undefined) {
        console.error(`bench: without ${target.name}; to have it: ${target.why}`)
        continue
      }
      const port = target.run === undefined ? upstreamPort : FIRST_PORT + 1 + n
      const child = target.run?.(String(port), `http://127.0.0.1:${upstreamPort}`, {
        dir,
        core: proxyCore,
        log: join(dir, `${target.name}.log`),
      })
      if (child !== undefined) {
        children.push(child)
        await listening(child, port, target.name)
      }
      running.push({ ...target, port, child })
    }
    const load = start(process.execPath, [here('load.mjs')], { core: loadCore, ipc: true })
    children.push(load)
    const { results, memory } = await rounds(load, running)
    report({ results, memory, judged: judge(results), scenarios, targets, pinned })
    const failures = Object.values(results)
      .flatMap((cells) => Object.values(cells))
      .reduce((sum, cell) => sum + cell.failures, 0)
    if (failures > 0) console.error(`bench: ${failures} requests failed: no figure of this run counts`)
    const isMissed = judge(results).some(({ isReached }) => isReached === false)
    return failures > 0 || (options.check && isMissed) ? 1 : 0
  } finally {
    for (const child of children.reverse()) await stop(child)
    rmSync(dir, { recursive: true, force: true })
  }
}

async function rounds(load, running) {
  const count = options.quick ? 1 : Number(options.rounds)
  const ms = options.quick ? 800 : 1000 * Number(options.seconds)
  const measured = {}
  let run = 0
  for (let round = 1; round <= count; round++) {
    for (const scenario of chosen(scenarios, options.only)) {
      for (const { name, port, child, isNamed, isCwm } of running) {
        // The first round also warms the compiler: it takes thousands of calls.
        const warm = options.quick ? scenario.connections : scenario.warm * (round === 1 ? 4 : 1)
        const job = {
          scenario: scenario.name,
          target: { name, port, isNamed, isCwm },
          run: run++,
          warm,
          warmMs: 20_000,
          ms,
        }
        const result = await measure(load, job, child?.pid)
        measured[scenario.name] ??= {}
        measured[scenario.name][name] ??= []
        measured[scenario.name][name].push(result)
        const cpu = result.cpu === null ? '' : `  ${result.cpu.toFixed(1)} µs`
        console.error(
          `round ${round}/${count}  ${scenario.name.padEnd(10)} ${name.padEnd(11)} ${result.requestsPerSecond.toFixed(0).padStart(6)}/s  p50 ${result.p50?.toFixed(2)} ms${cpu}`,
        )
      }
    }
  }
  const results = Object.fromEntries(
    Object.entries(measured).map(([scenario, cells]) => [
      scenario,
      Object.fromEntries(Object.entries(cells).map(([name, list]) => [name, summary(list)])),
    ]),
  )
  const memory = Object.fromEntries(
    running.map(({ name, child }) => [name, child === undefined ? null : peakMegabytes(child.pid)]),
  )
  return { results, memory }
}

function report(all) {
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    node: process.version,
    pinned: all.pinned,
    at: new Date().toISOString(),
  }
  const warning = options.force
    ? ['(with --force: an engine or others may have been running on the same cores)', '']
    : []
  const text = [
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}${all.pinned ? ', the proxy on a core of its own' : ''}`,
    '',
    ...warning,
    markdown(all),
  ].join('\n')
  console.log(text)
  if (options.json !== undefined) {
    const { results, memory, judged } = all
    writeFileSync(options.json, `${JSON.stringify({ machine, results, memory, judged }, null, 2)}\n`)
  }
  if (options.markdown !== undefined) {
    const page = readFileSync(options.markdown, 'utf8')
    const [from, to] = [page.indexOf(MARKS[0]) + MARKS[0].length, page.indexOf(MARKS[1])]
    writeFileSync(options.markdown, `${page.slice(0, from)}\n\n${text}\n${page.slice(to)}`)
  }
}

process.exitCode = await main()
