// The table of docs/isolation.md that says who shares KV with whom, as tests read it.

import { readFileSync } from 'node:fs'

export const modes = ['session', 'user', 'tenant'] as const
export type Mode = (typeof modes)[number]
type Verdict = 'shared' | 'apart'

const page = new URL('../../docs/isolation.md', import.meta.url)

/** Parses the table by row and mode. Throws if its format is different. */
export function readMatrix(): ReadonlyMap<string, Readonly<Record<Mode, Verdict>>> {
  const table = readFileSync(page, 'utf8').split('| B has |')[1]?.split('\n\n')[0] ?? ''
  const [header = '', , ...lines] = table.trim().split('\n')
  const columns = cellsOf(`|${header}`).map((cell) => cell.replaceAll('`', ''))
  if (columns.join() !== modes.join()) throw new Error(`docs/isolation.md: the columns are ${columns.join()}`)
  return new Map(
    lines.map((line) => {
      const [name = '', ...verdicts] = cellsOf(line)
      const [session, user, tenant] = verdicts.map(verdictOf)
      if (session === undefined || user === undefined || tenant === undefined)
        throw new Error(`docs/isolation.md: ${line}`)
      return [name, { session, user, tenant }]
    }),
  )
}

function cellsOf(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}

function verdictOf(text: string): Verdict {
  if (text === 'shared' || text === 'apart') return text
  throw new Error(`docs/isolation.md: a verdict is shared or apart, not ${text}`)
}
