// cwm's performance aims, as ratios to the pass-through with JSON.parse within one run, and their verdicts.

import { isTimed, scenarios } from './scenarios.mjs'
import { median } from './stats.mjs'

/** The range of five ratios contains the true median with a probability of 15/16 (order statistics: 1 - 2 / 2^5). */
const DECIDING_ROUNDS = 5
const MAX_MEMORY_MB = 200
const MAX_BURST_TTFT = 2.5
const MAX_DISK_MB = 15
const disk = scenarios.find((scenario) => !isTimed(scenario))

/** Maximum multiples of the pass-through's value; for requests per second, the minimum. */
const bounds = {
  'cwm-named': { '4k-32': 1.5, '32k-16': 1.4, '512k-4': 1.1, 'stream-16': 1.3, perSecond: 0.65, p99: 1.6 },
  'cwm-prefix': { '4k-32': 2.0, '32k-16': 1.7, '512k-4': 1.6, 'stream-16': 1.4, perSecond: 0.5, p99: 2.5 },
  'cwm-first': { '4k-32': 2.2, '32k-16': 1.8, '512k-4': 1.6, 'stream-16': 1.5, perSecond: 0.45, p99: 3.0 },
  'cwm-unknown': { '4k-32': 2.5, '32k-16': 2.0, '512k-4': 1.7, 'stream-16': 1.5, perSecond: 0.4, p99: 3.0 },
}

const toParse = (scenario, target, field) => (results) => results.ratios(scenario, target, 'parse', field)

const cpu = (target, scenario) => ({
  ...{ target, scenario },
  title: `CPU per ${scenario === 'stream-16' ? 'event' : 'request'}, ${scenario}, ${target}, to parse`,
  most: bounds[target][scenario],
  read: toParse(scenario, target, 'cpu'),
})

const aimsOf = (target) => [
  ...['4k-32', '32k-16', '512k-4', 'stream-16'].map((scenario) => cpu(target, scenario)),
  {
    ...{ target, scenario: '4k-32' },
    title: `requests/s, 4k-32, ${target}, to parse`,
    least: bounds[target].perSecond,
    read: toParse('4k-32', target, 'perSecond'),
  },
  {
    ...{ target, scenario: '4k-32' },
    title: `p99, 4k-32, ${target}, to parse`,
    most: bounds[target].p99,
    read: (results) =>
      [target, 'parse'].every((side) => results.hasP99('4k-32', side)) ? toParse('4k-32', target, 'p99')(results) : [],
  },
  {
    ...{ target, scenario: 'burst-64' },
    title: `TTFT p50, burst-64, ${target}, to parse`,
    most: MAX_BURST_TTFT,
    read: toParse('burst-64', target, 'ttftP50'),
  },
  {
    target,
    title: `memory after the run, ${target}, MB`,
    most: MAX_MEMORY_MB,
    isOne: true,
    read: ({ memory }) => (memory[target] === undefined ? [] : [memory[target].bytes / 1e6]),
  },
]

const diskAim = {
  ...{ target: 'cwm-first', scenario: disk.name },
  title: 'disk after 100,000 first turns, cwm-first, MB',
  most: MAX_DISK_MB,
  isOne: true,
  // A quick run sends fewer.
  read: (results) => {
    const { turns, bytes } = results.disk['cwm-first'] ?? {}
    return turns === disk.turns ? [bytes / 1e6] : []
  },
}

const aims = [...Object.keys(bounds).flatMap(aimsOf), diskAim]

/** The aims that a run of these scenarios and targets can measure. Memory has no scenario. */
export function aimsFor(scenarios, targets) {
  const has = (all, wanted) => all.some(({ name }) => name === wanted)
  return aims.filter(
    ({ scenario, target }) => has(targets, target) && (scenario === undefined || has(scenarios, scenario)),
  )
}

/**
 * Adds to each aim its median, the range of its values, and a verdict: `reached` if the whole range is within the bound, `missed` if all of
 * it is beyond, otherwise `undecided`, which includes runs of fewer than five rounds; `not measured` without a value. Memory and disk
 * have a single value, which decides.
 */
export function judge(results, judged = aims) {
  return judged.map(({ title, most, least, isOne = false, read }) => {
    const values = read(results)
    const bound = most === undefined ? `at least ${least}` : `at most ${most}`
    if (values.length === 0) return { title, bound, verdict: 'not measured' }
    const [low, high] = [Math.min(...values), Math.max(...values)]
    const isDecided = isOne || values.length >= DECIDING_ROUNDS
    return {
      title,
      bound,
      value: median(values),
      low,
      high,
      verdict: isDecided ? verdictOf({ low, high, most, least }) : 'undecided',
    }
  })
}

function verdictOf({ low, high, most = Number.POSITIVE_INFINITY, least = Number.NEGATIVE_INFINITY }) {
  if (high <= most && low >= least) return 'reached'
  return low > most || high < least ? 'missed' : 'undecided'
}

/** The exit code of a run: 1 if a request failed or, with `check`, if an aim is missed or none is reached. */
export function exitCodeOf({ judged, failed, check }) {
  const has = (one) => judged.some(({ verdict }) => verdict === one)
  return failed > 0 || (check && (has('missed') || !has('reached'))) ? 1 : 0
}
