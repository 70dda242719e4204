// `npm run attack:shares`: attacks on what tenants share, one after the other, and what an honest tenant sees of them. Described in
// docs/attack.md.
//   npm run attack:shares -- --seconds 20 --quick   time of each attack; two seconds each
//   --attack listeners                              only this one
//   --no-pin                                        cwm on any core
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { attacks } from './attacks.mjs'
import { isGood, judge } from './judge.mjs'
import { readOptions } from './options.mjs'
import { Stack } from './stack.mjs'
import { tableOf } from './table.mjs'

const WARM_UP_SECONDS = 1
const AFTER_MS = 5_000
/** The honest tenant works alone for as long as the attack lasts, at most this long. */
const MAX_QUIET_SECONDS = 5
const AFTER_SECONDS = 2

const dist = process.env.ATTACK_DIST ?? fileURLToPath(new URL('../../../dist', import.meta.url))
const { options, errors } = readOptions(process.argv.slice(2))
if (errors !== undefined) {
  for (const text of errors) console.error(`attack:shares: ${text}`)
  process.exit(2)
}

if (process.platform !== 'linux') {
  console.error('attack:shares runs on Linux only, because it reads memory from /proc')
  process.exit(2)
}

async function observe(stack, attack, seconds) {
  const { honest, attacker, upstream, cwm } = stack
  const prepared = await honest.ask({ want: 'prepare' })
  if (prepared.failureCount > 0) throw new Error(`before the attack: ${prepared.failures.join('\n')}`)
  await attacker.ask({ want: 'prepare' })
  await honest.ask({ want: 'work', seconds: WARM_UP_SECONDS })
  const quiet = await honest.ask({ want: 'work', seconds: Math.min(seconds, MAX_QUIET_SECONDS) })
  const before = await stack.metrics()
  const [attacked, { counts }] = await Promise.all([
    honest.ask({ want: 'work', seconds }),
    attacker.ask({ want: 'run', seconds }),
  ])
  await sleep(AFTER_MS)
  const metrics = { before, after: await stack.metrics() }
  const after = await honest.ask({ want: 'work', seconds: AFTER_SECONDS })
  const check = await honest.ask({ want: 'check' })
  const { most } = await upstream.ask({ want: 'most' })
  return { attack, quiet, attacked, after, check, metrics, most, counts, memory: cwm.memory, isAlive: stack.isAlive }
}

async function run(attack, folder) {
  await mkdir(folder)
  const parts = { main: join(dist, 'cli/main.js'), sim: join(dist, 'sim/index.js') }
  const stack = await Stack.start({ ...parts, attack, folder, isPinned: options.isPinned })
  try {
    return await observe(stack, attack, options.seconds)
  } finally {
    await stack.stop()
  }
}

function report({ attack, attacked, after, check, counts }, cells) {
  const failed = Object.entries(cells).filter(([, { isGood: good }]) => !good)
  const verdict =
    failed.length === 0 ? 'pass' : `FAIL: ${failed.map(([name, { text }]) => `${name} ${text}`).join('; ')}`
  console.log(`${attack.name}: ${verdict}`)
  console.log(`  the attacker got ${counts.map(([what, count]) => `${what} ${count}`).join(' · ')}`)
  for (const text of [...attacked.failures, ...after.failures, ...check.failures]) console.log(`  - ${text}`)
}

const root = await mkdtemp(join(tmpdir(), 'cwm-attack-shares-'))
const results = []
try {
  for (const attack of attacks.filter(({ name }) => options.attack === undefined || name === options.attack)) {
    const observed = await run(attack, join(root, attack.name))
    const cells = judge(observed)
    report(observed, cells)
    results.push({ attack, cells })
  }
  console.log(`\n${tableOf(results)}`)
  process.exitCode = results.every(({ cells }) => isGood(cells)) ? 0 : 1
} finally {
  await rm(root, { recursive: true, force: true })
}
