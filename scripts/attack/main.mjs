// `npm run attack`: a list of known attacks and what a generator makes of it, sent to cwm before the simulator. docs/attack.md says what for.
//   npm run attack -- --requests 100000 --seed 7   how many in each mode, and which
//   --seconds 600                                  when to stop, whatever is left
//   --mode 'any key'                               one of the two modes only
//   --repeat 1234                                  attack number 1234 of the seed alone, with what it sends and gets
//   --large 0.02 --huge 0.001                      shares of bodies of hundreds of KiB and of MiB
//   --lanes 48  --no-pin                           connections at once; cwm on any core
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readOptions } from './options.mjs'
import { linesOf } from './report.mjs'
import { attack } from './run.mjs'

const dist = process.env.ATTACK_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url))
const { options, errors } = readOptions(process.argv.slice(2))
if (errors !== undefined) {
  for (const words of errors) console.error(`attack: ${words}`)
  process.exit(2)
}
const folder = await mkdtemp(join(tmpdir(), 'cwm-attack-'))
const say = (words) => console.log(`  … ${words}`)
let findings = 0
try {
  for (const [n, mode] of options.modes.entries()) {
    const parts = { main: join(dist, 'cli/main.js'), sim: join(dist, 'sim/index.js'), folder: join(folder, String(n)) }
    const result = await attack({ ...options, ...parts, mode }, say)
    for (const line of linesOf(result)) console.log(line)
    findings += result.findings.count
  }
  console.log(`seed ${options.seed}: ${findings === 0 ? 'nothing found' : `${findings} findings`}`)
  process.exitCode = findings === 0 ? 0 : 1
} finally {
  await rm(folder, { recursive: true, force: true })
}
