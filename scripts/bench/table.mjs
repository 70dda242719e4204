// Prints the results as Markdown: a table per scenario and one of the aims.

import { fastestOf } from './report.mjs'
import { isStream, isTimed } from './scenarios.mjs'

/** Above this share of their core, the mock upstream or the load client may limit a cell instead of the proxy. */
const BUSY = 0.9
const MARK = '¹'

const number = (value, digits = 0) => (value === undefined ? '–' : value.toFixed(digits))
const percent = (value) => (value === undefined ? '–' : `${(value * 100).toFixed(0)}%`)
const row = (cells) => `| ${cells.join(' | ')} |`

const columns = (unit) => [
  `${unit}s/s`,
  ...['p50 ms', 'p99 ms', 'TTFT p50', 'TTFT p99', `CPU µs/${unit}`, 'CPU to bare', 'CPU to parse'],
  ...['rate to direct', 'rate to bare', 'rate to parse', 'proxy', 'mock', 'load'],
]

/** Whether the mock upstream or the load client may have limited a cell. */
const isBusy = ({ upstreamShare, loadShare }, together) =>
  together ? upstreamShare + loadShare > BUSY : upstreamShare > BUSY || loadShare > BUSY

function lineOf(results, scenario, { name, title }, together) {
  const figures = results.figures(scenario.name, name)
  const to = (base, field) => number(results.ratio(scenario.name, name, base, field), 2)
  if (figures.perSecond === undefined) return []
  const streams = isStream(scenario)
  const known = results.hasP99(scenario.name, name) ? figures : { ...figures, p99: undefined, ttftP99: undefined }
  return row([
    title,
    number(streams ? figures.eventsPerSecond : figures.perSecond) + (isBusy(figures, together) ? MARK : ''),
    ...['p50', 'p99', 'ttftP50', 'ttftP99'].map((field) => number(known[field], 2)),
    number(figures.cpu, streams ? 1 : 0),
    ...[to('bare', 'cpu'), to('parse', 'cpu')],
    ...['direct', 'bare', 'parse'].map((base) => to(base, 'perSecond')),
    ...[figures.proxyShare, figures.upstreamShare, figures.loadShare].map(percent),
  ])
}

function fastestLine(results, scenario, targets) {
  const { all, proxy } = fastestOf(results, scenario.name, targets)
  const parts = [all, ...(proxy?.target === all?.target ? [] : [proxy])].map(
    (one) =>
      one &&
      `with ${one.target} the mock upstream had ${percent(one.upstreamShare)} of its core, the load client ${percent(one.loadShare)}`,
  )
  return `Fastest: ${parts.filter(Boolean).join('; ')}.`
}

function scenarioTable(results, scenario, targets, together) {
  const lines = targets.flatMap((target) => lineOf(results, scenario, target, together))
  if (lines.length === 0) return []
  const heads = ['', ...columns(isStream(scenario) ? 'event' : 'request')]
  const rule = row(heads.map((_, n) => (n === 0 ? '---' : '--:')))
  return [
    `**${scenario.name}: ${scenario.title}**`,
    '',
    row(heads),
    rule,
    ...lines,
    '',
    fastestLine(results, scenario, targets),
    '',
  ]
}

function memoryTable({ memory }, targets) {
  const lines = targets.flatMap(({ name, title }) => {
    const used = memory[name]
    return used === undefined ? [] : [row([title, number(used.peakBytes / 1e6), number(used.bytes / 1e6)])]
  })
  if (lines.length === 0) return []
  return [row(['', 'peak memory, MB', 'after the run, MB']), row(['---', '--:', '--:']), ...lines, '']
}

function diskTable({ disk }, targets) {
  const lines = targets.flatMap(({ name, title }) => {
    if (disk[name] === undefined) return []
    const { turns, bytes } = disk[name]
    return [row([title, turns, number(bytes / 1e6, 1), number(bytes / turns)])]
  })
  if (lines.length === 0) return []
  return [
    row(['', 'turns', 'disk after an orderly stop, MB', 'bytes/turn']),
    row(['---', '--:', '--:', '--:']),
    ...lines,
    '',
  ]
}

/** A single value has no range. */
const interval = ({ low, high }) => (low === high ? '' : `${number(low, 2)} to ${number(high, 2)}`)
const verdictOf = ({ verdict }) => (verdict === 'missed' ? '**missed**' : verdict)

function machineLine({ cpu, cores, node, pinned, besideEngine, tenants }) {
  const where =
    pinned === undefined
      ? ''
      : `, the proxy on core ${pinned.proxy}, mock on ${pinned.upstream}, load on ${pinned.load}`
  return `${cpu}, ${cores} cores, Node ${node}${where}${besideEngine ? ' (`--force`: perhaps beside an engine)' : ''}${tenants === undefined ? '' : `, ${tenants} tenants`}`
}

/** `flushes`: how many were slowed, by target. */
function flushLines({ flushMs }, flushes) {
  if (flushMs === undefined) return []
  const counts = Object.entries(flushes).map(([name, count]) => `${count} of ${name}`)
  const counted = counts.length === 0 ? 'no cwm was measured' : counts.join(', ')
  return [`**Each flush of cwm was made to take ${flushMs} ms longer (\`--flush-ms\`)**: ${counted}.`, '']
}

const footnote = (together) =>
  `${MARK} The mock upstream and the load client used more than ${BUSY * 100}% of ${together ? 'the core that they share' : 'a core'}, so the target may be faster than shown. The last three columns are shares of a core.`

/** Everything that docs/performance.md shows. */
export function markdown({ results, judged, machine, scenarios, targets, flushes }) {
  const { pinned } = machine
  const together = pinned !== undefined && pinned.upstream === pinned.load
  const aims = judged.map((aim) => row([aim.title, aim.bound, number(aim.value, 2), interval(aim), verdictOf(aim)]))
  return [
    machineLine(machine),
    '',
    ...flushLines(machine, flushes),
    ...scenarios.flatMap((scenario) => scenarioTable(results, scenario, targets, together)),
    ...(scenarios.some(isTimed) ? [footnote(together), ''] : []),
    ...memoryTable(results, targets),
    ...diskTable(results, targets),
    row(['aim', 'bound', 'median', 'rounds', 'verdict']),
    row(['---', '---', '--:', '---', '---']),
    ...aims,
    '',
  ].join('\n')
}
