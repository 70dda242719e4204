// The command line of the benchmark. Faults are told together.

import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'

export const usage = `npm run bench -- [options]
  --quick            looks whether everything works, in about a minute: its figures mean nothing
  --only A,B         scenarios
  --targets A,B      what they are sent to
  --peers A,B        other gateways too, installed into the user's cache when first asked for
  --rounds N         5 by default; with fewer no aim is decided
  --seconds N        counted of each cell, 2 by default
  --json FILE        everything that was measured
  --markdown FILE    the tables, between the marks of that page
  --check            exits with 1 where an aim is missed
  --no-pin           leaves the cores to the system
  --force            runs beside an engine, and says so`

/** Around what `--markdown` replaces in a page. */
export const MARKS = ['<!-- bench -->', '<!-- /bench -->']
const MAX_ROUNDS = 100
const MAX_SECONDS = 600

const text = { type: 'string' }
const flag = { type: 'boolean', default: false }
const settings = {
  ...{ only: text, targets: text, peers: text, rounds: text, seconds: text, json: text, markdown: text },
  ...{ quick: flag, check: flag, force: flag, 'no-pin': flag, help: flag },
}

const hasMarks = (page) => {
  const [from, to] = MARKS.map((mark) => page.indexOf(mark))
  return from >= 0 && to > from
}

/** What was asked for, and the lines that say why it cannot be: none if it can. */
export function readOptions(args, { scenarios, targets, peers }) {
  const faults = []
  const fault = (isOne, words) => isOne && faults.push(words)
  const pick = (option, all, names) => {
    const wanted = names.split(',')
    const unknown = wanted.filter((name) => !all.some((one) => one.name === name))
    fault(
      unknown.length > 0,
      `--${option}: no "${unknown.join(', ')}"; there are ${all.map(({ name }) => name).join(', ')}`,
    )
    return all.filter(({ name }) => wanted.includes(name))
  }
  let values
  try {
    values = parseArgs({ args, options: settings }).values
  } catch (error) {
    return { faults: [error.message] }
  }
  const { quick, json, markdown } = values
  const rounds = Number(values.rounds ?? (quick ? 1 : 5))
  const seconds = Number(values.seconds ?? (quick ? 0.8 : 2))
  fault(
    !(Number.isInteger(rounds) && rounds >= 1 && rounds <= MAX_ROUNDS),
    `--rounds: a whole number from 1 to ${MAX_ROUNDS}`,
  )
  fault(!(seconds > 0 && seconds <= MAX_SECONDS), `--seconds: above 0, ${MAX_SECONDS} at most`)
  // Told now, not after a quarter of an hour.
  fault(json !== undefined && !existsSync(dirname(json)), `--json: no folder for ${json}`)
  fault(
    markdown !== undefined && !(existsSync(markdown) && hasMarks(readFileSync(markdown, 'utf8'))),
    `--markdown: no page ${markdown} with ${MARKS.join(' and ')}`,
  )
  return {
    ...{ faults, quick, rounds, json, markdown, countMs: seconds * 1000 },
    ...{ check: values.check, force: values.force, pins: !values['no-pin'], help: values.help },
    scenarios: values.only === undefined ? scenarios : pick('only', scenarios, values.only),
    targets: values.targets === undefined ? targets : pick('targets', targets, values.targets),
    peers: values.peers === undefined ? [] : pick('peers', peers, values.peers),
  }
}
