// `npm run fleet`: three cwm, four simulated engines, one real Redis, 2,000 sessions. A cwm, an engine and Redis are killed in turn, an engine is
// added and one removed, and all are upgraded one after the other. The oracle is judge.mjs; the figures are in docs/fleet.md.
//   npm run fleet -- --sessions 200 --engines 3 --proxies 3 --seed 7
//   --keep                            keeps the logs and the oracle's input, and prints their folder
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from './client.mjs'
import { Conversations } from './conversations.mjs'
import { judge } from './judge.mjs'
import { readOptions } from './options.mjs'
import { Plan } from './plan.mjs'
import { Stack } from './stack.mjs'
import { tablesOf } from './table.mjs'

const dist = process.env.FLEET_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url))
const { options, errors } = readOptions(process.argv.slice(2))
if (errors !== undefined) {
  for (const text of errors) console.error(`fleet: ${text}`)
  process.exit(2)
}

/** Resolves with the exit code. */
async function prove(stack, client, folder) {
  const { sessions: count, seed, keep } = options
  const conversations = new Conversations({ count, seed, client, proxies: stack.proxies, model: stack.model })
  const plan = new Plan({ stack, conversations, seed, say: (line) => console.log(line) })
  const began = performance.now()
  await plan.run()
  const { attempts } = conversations
  const run = { attempts, arrivals: stack.arrivals, events: plan.events, slow: plan.slow }
  if (keep) await writeFile(join(folder, 'run.json'), JSON.stringify(run))
  const verdict = judge(run)
  console.log(`\n${tablesOf(verdict)}\n`)
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s, seed ${seed}`)
  for (const text of verdict.faults) console.log(`FAULT: ${text}`)
  if (verdict.faults.length === 0) console.log('every promise was kept')
  return verdict.faults.length === 0 ? 0 : 1
}

/** Resolves if somebody stops this process: what it started is stopped first. */
function stopped() {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => resolve(2))
  })
}

const folder = await mkdtemp(join(tmpdir(), 'cwm-fleet-'))
const client = new Client()
const stack = new Stack()
try {
  const proof = stack.start({ dist, folder, ...options }).then(() => prove(stack, client, folder))
  process.exitCode = await Promise.race([proof, stopped()])
} finally {
  client.close()
  await stack.stop()
  if (options.keep) console.log(`logs: ${folder}`)
  else await rm(folder, { recursive: true, force: true })
}
process.exit()
