// `cwm usage`: requests and tokens of a span, as a table or CSV.

import { type Command, InvalidArgumentError } from 'commander'
import { type UsageJson, type UsageLineJson, usageDimensions } from '../wire/usage.ts'
import { type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { UsageError } from './client/rest.ts'
import type { Screen } from './terminal/screen.ts'
import { type Column, formatTable } from './terminal/table.ts'
import { formatCount, formatDuration, formatPercent, wrap } from './terminal/text.ts'

interface UsageOptions extends CommonOptions {
  readonly from?: string
  readonly to?: string
  readonly by?: string
  readonly csv?: boolean
}

const PATH = '/cwm/v1/usage'
const spans = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Adds the command `usage`. */
export function addUsage(program: Command): void {
  withConnection(program.command('usage'))
    .description('Show requests and tokens of a span, by tenant, key, model, or time')
    .option(
      '--from <time>',
      'start: a time like 2026-11-30T08:00:00Z, or an age like 90m, 12h, 7d (default: 24h)',
      timeOf,
    )
    .option('--to <time>', 'end, in the same form (default: now)', timeOf)
    .option('--by <list>', 'comma-separated: tenant, key, model, and one of minute, hour, day', dimensionsOf)
    .option('--csv', 'print CSV with all counts')
    .action((options: UsageOptions) => {
      const { from, to, by, csv = false } = options
      return runCommand(options, async ({ rest, screen, show, signal, json }) => {
        if (csv && json) throw new UsageError('pass either --csv or --json')
        const query = { from, to, by, format: csv ? 'csv' : 'json' }
        if (csv) {
          const response = await rest.send(PATH, { query, signal })
          screen.print((await response.text()).trimEnd())
          return
        }
        const usage = await rest.json<UsageJson>(PATH, { query, signal })
        show(usage, (answer) => formatUsage(screen, answer))
        if (usage.data.length === 0 && !json) screen.printError('no requests in this span')
      })
    })
}

function formatUsage(screen: Screen, { data, advice }: UsageJson): string[] {
  return [
    ...formatTable(screen, columns, data),
    ...(advice === null || !screen.isTerminal ? [] : ['', ...wrap(advice, screen.columns)]),
  ]
}

/** An ISO time. Throws commander's own error. */
function timeOf(text: string): string {
  const age = /^(\d{1,6})([mhd])$/.exec(text)
  const at = age === null ? Date.parse(text) : Date.now() - Number(age[1]) * spans[age[2] as keyof typeof spans]
  // Of times long before 1970 the text has a form that REST does not read.
  if (at >= 0) return new Date(at).toISOString()
  throw new InvalidArgumentError('It must be a time like 2026-11-30T08:00:00Z, or an age like 90m, 12h, or 7d.')
}

/** Known dimensions, separated by commas. Throws commander's own error. */
function dimensionsOf(text: string): string {
  const known: readonly string[] = usageDimensions
  const unknown = text.split(',').filter((name) => !known.includes(name))
  if (unknown.length === 0) return text
  throw new InvalidArgumentError(
    `Unknown: ${unknown.map((name) => `"${name}"`).join(', ')}. Known: ${known.join(', ')}.`,
  )
}

type Tokens = 'prompt_tokens' | 'cached_tokens' | 'computed_tokens' | 'completion_tokens' | 'restored_tokens'

const tokens = (title: string, name: Tokens, omit?: number): Column<UsageLineJson> => ({
  title,
  value: (line) => line[name] ?? undefined,
  display: (line) => {
    const count = line[name]
    return count === null ? '–' : formatCount(count)
  },
  align: 'right',
  ...(omit === undefined ? {} : { omit }),
})

const columns: readonly Column<UsageLineJson>[] = [
  { title: 'FROM', value: ({ at }) => at, display: ({ at }) => at?.replace(/:00\.000Z$/, 'Z') ?? '' },
  { title: 'TENANT', value: ({ tenant }) => tenant, elastic: true },
  { title: 'KEY', value: ({ key }) => key, elastic: true },
  { title: 'MODEL', value: ({ model }) => model, elastic: true },
  {
    title: 'REQUESTS',
    value: ({ requests }) => requests,
    display: ({ requests }) => formatCount(requests),
    align: 'right',
  },
  { title: 'ERRORS', value: ({ errors }) => errors, display: ({ errors }) => formatCount(errors), align: 'right' },
  {
    title: 'ABORTED',
    value: ({ aborted }) => aborted,
    display: ({ aborted }) => formatCount(aborted),
    align: 'right',
    omit: 5,
  },
  tokens('PROMPT', 'prompt_tokens'),
  tokens('CACHED', 'cached_tokens', 3),
  {
    title: 'HIT',
    value: ({ cached_tokens: cached, prompt_tokens: prompt }) =>
      cached === null || prompt === null || prompt === 0 ? undefined : formatPercent(cached, prompt),
    align: 'right',
  },
  tokens('COMPUTED', 'computed_tokens', 4),
  tokens('COMPLETION', 'completion_tokens', 1),
  tokens('RESTORED', 'restored_tokens', 2),
  {
    title: 'REPEATED',
    value: ({ repeated_tokens }) => repeated_tokens,
    display: ({ repeated_tokens: repeated }) => (repeated === 0 ? '' : `~${formatCount(repeated)}`),
    align: 'right',
    omit: 6,
  },
  {
    title: 'FIRST TOKEN',
    value: ({ first_token }) => first_token.mean_ms ?? undefined,
    display: ({ first_token: { mean_ms } }) => (mean_ms === null ? '' : formatDuration(mean_ms)),
    align: 'right',
    omit: 2,
  },
  {
    title: 'LONGEST QUEUE',
    value: ({ longest_queue_ms }) => longest_queue_ms,
    display: ({ longest_queue_ms: ms }) => (ms === 0 ? '' : formatDuration(ms)),
    align: 'right',
    omit: 7,
  },
]
