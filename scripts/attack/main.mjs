// `npm run attack`: sends known attacks and generated ones to cwm in front of the simulator. Described in docs/attack.md.
//   npm run attack -- --requests 100000 --seed 7   number of attacks per mode, and seed
//   --seconds 600                                  time limit
//   --mode 'any key'                               only one of the two modes
//   --repeat 1234                                  only attack number 1234 of the seed, with its request and response
//   --large 0.02 --huge 0.001                      shares of bodies of hundreds of KiB, and of MiB
//   --lanes 48  --no-pin                           concurrent connections; cwm on any core
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
  for (const text of errors) console.error(`attack: ${text}`)
  process.exit(2)
}
const folder = await mkdtemp(join(tmpdir(), 'cwm-attack-'))
const print = (text) => console.log(`  … ${text}`)
let findings = 0
try {
  for (const [n, mode] of options.modes.entries()) {
    const parts = { main: join(dist, 'cli/main.js'), sim: join(dist, 'sim/index.js'), folder: join(folder, String(n)) }
    const result = await attack({ ...options, ...parts, mode }, print)
    for (const line of linesOf(result)) console.log(line)
    findings += result.findings.count
  }
  console.log(`seed ${options.seed}: ${findings === 0 ? 'nothing found' : `${findings} findings`}`)
  process.exitCode = findings === 0 ? 0 : 1
} finally {
  await rm(folder, { recursive: true, force: true })
}
