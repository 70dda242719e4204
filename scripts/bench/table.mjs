// What is printed of the results: Markdown, a table for each scenario and one of the aims.

import { ratio } from './stats.mjs'

const number = (value, digits = 0) => (value === null || value === undefined ? '–' : value.toFixed(digits))

function row(cells) {
  return `| ${cells.join(' | ')} |`
}

function scenarioTable({ title, kind }, cells, targets) {
  const streams = kind !== 'json'
  const heads = [
    '',
    streams ? 'events/s' : 'requests/s',
    'p50 ms',
    'p99 ms',
    'TTFT p50',
    'TTFT p99',
    streams ? 'µs CPU / event' : 'µs CPU / request',
    'to bare',
    'to parse',
    'requests/s to direct',
  ]
  const lines = targets.flatMap(({ name, title: of }) => {
    const cell = cells[name]
    if (cell === undefined) return []
    return row([
      of,
      number(streams ? cell.eventsPerSecond : cell.requestsPerSecond),
      ...[cell.p50, cell.p99, cell.ttft50, cell.ttft99].map((ms) => number(ms, 2)),
      number(cell.cpu, streams ? 1 : 0),
      number(ratio(cell.cpu, cells.bare?.cpu), 2),
      number(ratio(cell.cpu, cells.parse?.cpu), 2),
      number(ratio(cell.requestsPerSecond, cells.direct?.requestsPerSecond), 2),
    ])
  })
  return [`**${title}**`, '', row(heads), row(heads.map((_, n) => (n === 0 ? '---' : '--:'))), ...lines, ''].join('\n')
}

/** All of it, as it stands in docs/performance.md. */
export function markdown({ results, memory, judged, scenarios, targets }) {
  const tables = scenarios.flatMap((scenario) => {
    const cells = results[scenario.name]
    return cells === undefined ? [] : [scenarioTable(scenario, cells, targets)]
  })
  const peaks = targets.flatMap(({ name, title }) => (memory[name] ? [`${title} ${number(memory[name])} MiB`] : []))
  const aims = judged.map(({ title, bound, value, isReached }) =>
    row([title, bound, number(value, 2), isReached === null ? 'not measured' : isReached ? 'reached' : '**missed**']),
  )
  return [
    ...tables,
    `Peak memory: ${peaks.join(', ')}.`,
    '',
    row(['aim', 'bound', 'measured', '']),
    row(['---', '---', '--:', '---']),
    ...aims,
    '',
  ].join('\n')
}
