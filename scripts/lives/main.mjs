// `npm run lives`: a random life of named sessions and windows against an oracle. Described in CONTRIBUTING.md.
//   npm run lives -- --steps 10000 --seed 7      number of steps, and seed; the same two repeat a life
//   --engine URL --coordinator URL               a real engine and its LMCache instead of the simulator
//   --store redis://127.0.0.1:6379               instead of SQLite
//   --life FILE                                  lives the actions of a file, as a fault leaves them
//   --no-shrink                                  does not shorten the life after a fault
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LivedCwm } from './cwm.mjs'
import { openEngine } from './engine.mjs'
import { Fault, Life } from './life.mjs'
import { readOptions } from './options.mjs'
import { relevantOf, shrink } from './shrink.mjs'
import { stepsOf } from './steps.mjs'

const PROGRESS_MS = 10_000
const SHRINK_MS = 180_000
const SHOWN = 40

const dist = process.env.LIVES_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url))
const { options, errors } = readOptions(process.argv.slice(2))
if (errors !== undefined) {
  for (const text of errors) console.error(`lives: ${text}`)
  process.exit(2)
}

async function startEngine({ engine, coordinator }) {
  if (engine !== undefined) return { url: engine, coordinator, stop: async () => {} }
  const { startSim } = await import(join(dist, 'sim/index.js'))
  const sim = await startSim({ requestLog: 1, eventFlushMs: 0 })
  return { url: sim.engineUrl, coordinator: sim.coordinatorUrl, stop: () => sim.close() }
}

async function liveSteps(life, { steps, seed }) {
  let shownAt = performance.now()
  for (const [n, drawn] of stepsOf(seed, steps).entries()) {
    await life.step(drawn, n)
    if (performance.now() - shownAt < PROGRESS_MS) continue
    shownAt = performance.now()
    const { sessions, windows } = life.world
    console.log(`  … step ${n + 1} of ${steps}: ${sessions.size} sessions, ${windows.size} windows, no fault`)
  }
  await life.rollCall()
}

async function liveActions(life, actions) {
  for (const action of actions) await life.act(action)
}

async function report(fault, live) {
  const { steps, seed, shrinks } = options
  console.log(`FAULT after ${fault.done.length} actions: ${fault.message}`)
  if (options.life === undefined) console.log(`again: npm run lives -- --seed ${seed} --steps ${steps}`)
  let actions = relevantOf(fault.done)
  if (shrinks) {
    console.log(`shortening the life, for ${SHRINK_MS / 1000} s at most …`)
    const fails = async (tried) => {
      const found = await live((life) => liveActions(life, tried))
      return found.fault !== undefined
    }
    actions = await shrink(fault.done, fails, SHRINK_MS)
  }
  const file = join(tmpdir(), `cwm-life-${process.pid}.json`)
  await writeFile(file, JSON.stringify(actions, undefined, 1))
  for (const action of actions.slice(-SHOWN)) console.log(`  ${JSON.stringify(action)}`)
  console.log(`${actions.length} actions, in ${file}; again: npm run lives -- --life ${file}`)
}

const folder = await mkdtemp(join(tmpdir(), 'cwm-lives-'))
const engine = await startEngine(options)
let cwm
try {
  const known = { upstream: engine.url, coordinator: engine.coordinator, store: options.store }
  const flags = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
  cwm = await LivedCwm.start({ main: join(dist, 'cli/main.js'), folder, flags })
  const asked = await openEngine(engine.url)
  let lives = 0
  const live = async (run) => {
    const life = new Life(cwm, asked, `l${Date.now().toString(36)}-${lives++}`)
    try {
      await run(life)
      return { life }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return { life, fault: error }
    }
  }
  const given = options.life === undefined ? undefined : JSON.parse(await readFile(options.life, 'utf8'))
  const began = performance.now()
  const { life, fault } = await live((one) => (given ? liveActions(one, given) : liveSteps(one, options)))
  const counts = [...life.counts].sort(([a], [b]) => a.localeCompare(b)).map(([what, count]) => `${what} ${count}`)
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  console.log(`${life.done.length} actions in ${seconds} s, ${cwm.restarts} restarts: ${counts.join(' · ')}`)
  if (fault === undefined) console.log(`seed ${options.seed}: no fault`)
  else {
    process.exitCode = 1
    await report(fault, live)
  }
} finally {
  await cwm?.stop()
  await engine.stop()
  await rm(folder, { recursive: true, force: true })
}
