// `cwm keys`: lists, creates, and revokes API keys of tenants of a running cwm.

import { type Command, InvalidArgumentError } from 'commander'
import type { CreatedKeyJson, CreateKeyBody, KeyJson } from '../wire/keys.ts'
import { type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { confirm } from './client/confirm.ts'
import { type ListOptions, listAll, positive, showPage, withPaging } from './client/lists.ts'
import type { Column } from './terminal/table.ts'
import { formatAge } from './terminal/text.ts'

type Expiry = Pick<CreateKeyBody, 'expires_at' | 'expires_in_s'>

interface CreateOptions {
  readonly expires?: Expiry
  readonly requestsPerMinute?: number
  readonly tokensPerMinute?: number
}

const PATH = '/cwm/v1/keys'
const spansS = { m: 60, h: 3_600, d: 86_400 } as const

/** Adds the command `keys` and its subcommands. */
export function addKeys(program: Command): void {
  const keys = program
    .command('keys')
    .description(
      "Manage API keys of tenants of a running cwm. Needs the operator's key (cwm key makes one for the file)",
    )

  withPaging(withConnection(keys.command('list')))
    .description('List the keys of the settings file, and those that were created while cwm ran; --tenant: only of one')
    .action(({ tenant, ...options }: CommonOptions & ListOptions) =>
      runCommand(options, async (context) => {
        const { rest, screen, signal } = context
        const page = await listAll<KeyJson>(rest, PATH, options, { query: { tenant }, signal })
        showPage(context, page, columns(screen.now()), 'keys')
      }),
    )

  addCreate(keys)

  withConnection(keys.command('revoke <id>'))
    .description('Revoke a key that was created while cwm ran; its id is in the list')
    .option('--yes', 'do not ask for confirmation')
    .action((id: string, options: CommonOptions & { yes?: boolean }) =>
      runCommand(options, async (context) => {
        const { rest, show, signal } = context
        if (!(await confirm(context, options, `Revoke key ${id}? Its next request is rejected.`))) return
        const key = await rest.json<KeyJson>(`${PATH}/${encodeURIComponent(id)}`, { method: 'DELETE', signal })
        show(key, ({ tenant, name }) => [`revoked ${name} of ${tenant}: its next request is rejected`])
      }),
    )
}

function addCreate(keys: Command): void {
  withConnection(keys.command('create <tenant> <name>'))
    .description('Create a key for a tenant; prints the key, which is not shown again')
    .option('--expires <when>', 'when it expires: 12h, 30d, or a time like 2027-01-31 (default: never)', expiryOf)
    .option('--requests-per-minute <n>', 'limit of this key alone; it counts toward its tenant too', positive)
    .option('--tokens-per-minute <n>', 'limit of this key alone, in computed tokens', positive)
    .action((tenant: string, name: string, options: CommonOptions & CreateOptions) =>
      runCommand(options, async ({ rest, screen, show, json, signal }) => {
        const { expires, requestsPerMinute: requests_per_minute, tokensPerMinute: tokens_per_minute } = options
        const body: CreateKeyBody = { tenant, name, ...expires, requests_per_minute, tokens_per_minute }
        const created = await rest.json<CreatedKeyJson>(PATH, { method: 'POST', body, signal })
        // Alone on standard output, so that it can be piped.
        show(created, ({ secret }) => [secret])
        if (!json) screen.printError(formatCreated(created))
      }),
    )
}

/** Throws commander's own error. */
function expiryOf(text: string): Expiry {
  const span = /^(\d{1,6})([mhd])$/.exec(text)
  if (span !== null) return { expires_in_s: Number(span[1]) * spansS[span[2] as keyof typeof spansS] }
  const at = Date.parse(text)
  if (Number.isFinite(at)) return { expires_at: new Date(at).toISOString() }
  throw new InvalidArgumentError('It must be a span like 90m, 12h, or 30d, or a time like 2027-01-31T00:00:00Z.')
}

function formatCreated(created: CreatedKeyJson): string {
  const { id, tenant, name, expires_at } = created
  const until = expires_at === null ? 'does not expire' : `expires at ${expires_at}`
  return `\nThis is key ${name} of ${tenant}. It ${until}.${formatLimits(created)} cwm stores only its hash, so give it to the tenant now.\nto revoke it: cwm keys revoke ${id}`
}

function formatLimits({ requests_per_minute, tokens_per_minute }: KeyJson): string {
  const limits = [
    ...(requests_per_minute === null ? [] : [`${requests_per_minute} requests`]),
    ...(tokens_per_minute === null ? [] : [`${tokens_per_minute} tokens`]),
  ]
  return limits.length === 0 ? '' : ` It may use ${limits.join(' and ')} a minute.`
}

const columns = (now: number): readonly Column<KeyJson>[] => [
  { title: 'TENANT', value: ({ tenant }) => tenant, elastic: true },
  { title: 'KEY', value: ({ name }) => name, elastic: true },
  { title: 'SOURCE', value: ({ source }) => source },
  {
    title: 'CREATED',
    value: ({ created_at }) => created_at ?? undefined,
    display: ({ created_at }) => formatAge(created_at ?? undefined, now),
    omit: 2,
  },
  {
    title: 'EXPIRES',
    value: ({ expires_at }) => expires_at ?? undefined,
    display: ({ expires_at, expired }) => (expired ? 'expired' : (expires_at?.slice(0, 10) ?? '')),
  },
  {
    title: 'USED',
    value: ({ last_used_at }) => last_used_at ?? undefined,
    display: ({ last_used_at }) => formatAge(last_used_at ?? undefined, now),
    omit: 1,
  },
  { title: 'ID', value: ({ id }) => id ?? undefined },
  { title: 'REQ/MIN', value: ({ requests_per_minute }) => requests_per_minute ?? undefined, omit: 2 },
  { title: 'TOKENS/MIN', value: ({ tokens_per_minute }) => tokens_per_minute ?? undefined, omit: 2 },
]
