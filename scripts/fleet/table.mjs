// The report of `npm run fleet`: tables in Markdown, as docs/fleet.md shows them.

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const spread = (counts) =>
  Object.entries(counts)
    .map(([size, count]) => `${size}: ${count}`)
    .join(', ')

/** All tables of a verdict of judge.mjs. */
export function tablesOf({ conversations, turns, attempts, failures, salts, cold, moves }) {
  const totals = [
    ['conversations', conversations],
    ['answered turns', turns],
    ['failed attempts', attempts - turns],
    ['sessions, by cwm', salts.sessions],
    ["salts in the engines' logs", salts.salts],
    ['salts per session', spread(salts.perSession)],
    ['conversations per salt', spread(salts.perSalt)],
  ]
  const causes = (list, kind) => list.map((one) => [one[kind], one.cause ?? '**none**', one.count])
  return [
    table(['', ''], totals),
    table(['failed attempts', 'in flight at', ''], causes(failures, 'kind')),
    table(['follow-ups that were not warm', 'because', ''], causes(cold, 'what')),
    table(
      ['event', 'sessions compared', 'moved', 'at most', 'of these, from another engine'],
      moves.map(({ name, compared, moved, bound, strays }) => [name, compared, moved, bound.toFixed(0), strays]),
    ),
  ].join('\n\n')
}
