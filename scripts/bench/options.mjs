// The command line of the benchmark. All errors are reported together.

import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'

export const usage = `npm run bench -- [options]
  --quick            check that everything works, in about a minute; ignore the figures
  --only A,B         scenarios to run
  --targets A,B      targets to measure
  --peers A,B        also measure these gateways; installed into the user's cache on first use
  --rounds N         default 5; with fewer, ratios are undecided
  --seconds N        counted per cell; default 2
  --json FILE        write all measurements as JSON
  --markdown FILE    write the tables between the marks of that page
  --check            exit with 1 if an aim is missed
  --flush-ms N       each flush of cwm's files takes N ms longer; Linux, needs a C compiler
  --tenants N        list N tenants in each cwm, and let their keys take turns
  --no-pin           do not pin processes to cores
  --force            run beside an engine, and note it in the results`

/** `--markdown` replaces the text between these marks. Runs with slowed flushes have a place of their own. */
export const marksOf = (flushMs) =>
  flushMs === undefined ? ['<!-- bench -->', '<!-- /bench -->'] : ['<!-- bench flush -->', '<!-- /bench flush -->']
const MAX_ROUNDS = 100
const MAX_SECONDS = 600
const MAX_FLUSH_MS = 10_000
const MAX_TENANTS = 10_000

const text = { type: 'string' }
const flag = { type: 'boolean', default: false }
const settings = {
  ...{ only: text, targets: text, peers: text, rounds: text, seconds: text, json: text, markdown: text },
  ...{ 'flush-ms': text, tenants: text },
  ...{ quick: flag, check: flag, force: flag, 'no-pin': flag, help: flag },
}

const hasMarks = (page, marks) => {
  const [from, to] = marks.map((mark) => page.indexOf(mark))
  return from >= 0 && to > from
}

function numbersOf({ quick, rounds, seconds, 'flush-ms': flushMs, tenants }, check) {
  const whole = (option, text, most) => {
    const isValid = Number.isInteger(Number(text)) && Number(text) >= 1 && Number(text) <= most
    check(isValid, `--${option}: "${text}" must be a whole number from 1 to ${most}`)
    return Number(text)
  }
  const counted = Number(seconds ?? (quick ? 0.8 : 2))
  check(counted > 0 && counted <= MAX_SECONDS, `--seconds: "${seconds}" must be above 0 and at most ${MAX_SECONDS}`)
  return {
    rounds: whole('rounds', rounds ?? (quick ? 1 : 5), MAX_ROUNDS),
    countMs: counted * 1000,
    flushMs: flushMs === undefined ? undefined : whole('flush-ms', flushMs, MAX_FLUSH_MS),
    tenants: tenants === undefined ? undefined : whole('tenants', tenants, MAX_TENANTS),
  }
}

/** The options, and a list of errors, which is empty if they are valid. */
export function readOptions(args, { scenarios, targets, peers }) {
  const errors = []
  const check = (isValid, message) => isValid || errors.push(message)
  const pick = (option, all, names) => {
    const wanted = names.split(',')
    const unknown = wanted.filter((name) => !all.some((one) => one.name === name))
    check(
      unknown.length === 0,
      `--${option}: unknown "${unknown.join(', ')}"; known: ${all.map(({ name }) => name).join(', ')}`,
    )
    return all.filter(({ name }) => wanted.includes(name))
  }
  let values
  try {
    values = parseArgs({ args, options: settings }).values
  } catch (error) {
    return { errors: [error.message] }
  }
  const { json, markdown } = values
  const numbers = numbersOf(values, check)
  const marks = marksOf(numbers.flushMs)
  // Checked now instead of after the run.
  check(json === undefined || existsSync(dirname(json)), `--json: the folder of ${json} does not exist`)
  check(
    markdown === undefined || (existsSync(markdown) && hasMarks(readFileSync(markdown, 'utf8'), marks)),
    `--markdown: ${markdown} must exist and contain ${marks.join(' and ')}`,
  )
  return {
    ...{ errors, quick: values.quick, json, markdown, ...numbers },
    ...{ check: values.check, force: values.force, pins: !values['no-pin'], help: values.help },
    scenarios: values.only === undefined ? scenarios : pick('only', scenarios, values.only),
    targets: values.targets === undefined ? targets : pick('targets', targets, values.targets),
    peers: values.peers === undefined ? [] : pick('peers', peers, values.peers),
  }
}
