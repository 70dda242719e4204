// `npm run ask`: what a question to many windows costs, on the simulator. The simulator waits as long as LMCache would need to load KV, and
// computes at once, so this shows cwm's own mechanics, not a model's speed.
//   npm run ask -- --windows 1,10,100 --tokens 100000   windows of a question, and tokens of each
//   --loads 53000,9500                                   tokens a second that LMCache loads; inf: at once
//   --prefill 10000                                      tokens a second that an engine computes, for the last column
//   --parallel 4                                         windows asked at once
import { fileURLToPath } from 'node:url'
import { measure } from './measure.mjs'
import { readOptions } from './options.mjs'
import { tableOf } from './table.mjs'

const dist = process.env.ASK_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url))
const { options, errors } = readOptions(process.argv.slice(2))
if (errors !== undefined) {
  for (const text of errors) console.error(`ask: ${text}`)
  process.exit(2)
}

const rows = await measure(dist, options, (text) => console.error(text))
console.log(tableOf(rows))
const faulty = rows.filter(({ failed }) => failed > 0)
for (const { windows, failed } of faulty) console.error(`ask: ${failed} of ${windows} windows failed`)
process.exitCode = faulty.length === 0 ? 0 : 1
