// The result as a Markdown table, for docs/security.md.

import { isGood } from './judge.mjs'

const columns = [
  ['quiet', 'median, quiet'],
  ['p99', '99 of 100 within'],
  ['failed', 'failed requests'],
  ['kept', 'entries and turns kept'],
  ['engine', 'warm calls at the engine'],
  ['memory', 'peak memory'],
  ['after', 'five seconds after'],
]

const shown = ({ isGood: good, text }) => (good ? text : `**FAIL** ${text}`)

/** `results`: `{ attack, cells }` of each attack. */
export function tableOf(results) {
  const head = ['row', 'attack', ...columns.map(([, title]) => title), 'verdict']
  const lines = results.map(({ attack, cells }) => [
    ...[String(attack.row), attack.what],
    ...columns.map(([name]) => shown(cells[name])),
    isGood(cells) ? 'pass' : '**FAIL**',
  ])
  const rows = [head, ['--:', ...head.slice(1).map(() => '---')], ...lines]
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
