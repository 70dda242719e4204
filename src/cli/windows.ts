// `cwm windows`: lists, shows, freezes, thaws, clones, deletes, exports, and imports windows of a running cwm.

import { readFile } from 'node:fs/promises'
import { addAbortSignal } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import type { DeletionJson } from '../wire/deletions.ts'
import { sortOrders, storedWindowStates, thawTargets, windowSorts } from '../wire/enums.ts'
import type { PrefetchReceiptJson, ThawReceiptJson } from '../wire/receipts.ts'
import type { CloneBody, FreezeBody, ImportJson, LabelsJson, ThawBody, WindowJson } from '../wire/windows.ts'
import { type CommandContext, type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { confirm } from './client/confirm.ts'
import { waitForDeletion } from './client/deletion.ts'
import { collect, type ListOptions, listAll, positive, showPage, withPaging } from './client/lists.ts'
import { windowPath } from './client/paths.ts'
import { formatDeletion, formatDependents, formatNewWindow, formatPrefetch, formatThaw } from './client/receipts.ts'
import { UsageError } from './client/rest.ts'
import { saveExport } from './save-export.ts'
import { formatWindow, windowColumns } from './windows-text.ts'

interface LabelOptions {
  readonly tag?: readonly string[]
  readonly note?: string
}

const labelsOf = ({ tag, note }: LabelOptions): LabelsJson => ({
  ...(tag === undefined ? {} : { tags: [...tag] }),
  ...(note === undefined ? {} : { note }),
})

function withLabels(command: Command): Command {
  return command.option('--tag <tag>', 'tag; may be repeated', collect).option('--note <text>', 'note')
}

interface ThawFlags {
  readonly session?: string
  readonly to?: ThawBody['to']
  readonly replace?: boolean
}

interface WindowListOptions extends CommonOptions, ListOptions {
  readonly tag?: readonly string[]
  readonly model?: string
  readonly state?: string
  readonly session?: string
  readonly parent?: string
  readonly search?: string
  readonly sort?: string
  readonly order?: string
}

/** Adds the command `windows` and its subcommands. */
export function addWindows(program: Command): void {
  const windows = program
    .command('windows')
    .description('Manage windows of a running cwm: named snapshots of conversations')

  withPaging(withConnection(windows.command('list')))
    .description('List windows, newest first')
    .option('--tag <tag>', 'only windows with this tag; if repeated, with all of them', collect)
    .option('--model <model>', 'only windows of this model')
    .addOption(new Option('--state <state>', 'only windows in this state').choices(storedWindowStates))
    .option('--session <id>', 'only windows frozen from this session')
    .option('--parent <name>', 'only windows cloned from this one, or frozen from a session thawed from it')
    .option('--search <text>', 'only windows with this text in the name')
    .addOption(new Option('--sort <by>', 'sort by').choices(windowSorts))
    .addOption(new Option('--order <order>', 'sort order').choices(sortOrders))
    .action((options: WindowListOptions) => runCommand(options, (context) => list(context, options)))

  withConnection(windows.command('show <name>'))
    .description('Show a window and the receipt of its freeze')
    .option('--wait', 'wait up to a minute for a freeze in progress')
    .action((name: string, options: CommonOptions & { wait?: boolean }) =>
      runCommand(options, async ({ rest, screen, show, progress, signal }) => {
        const query = { wait_ms: options.wait === true ? 60_000 : undefined }
        const answer = await progress(`waiting for ${name}`, () =>
          rest.json<WindowJson>(windowPath(name), { query, signal }),
        )
        show(answer, (window) => formatWindow(screen, window))
      }),
    )

  withLabels(withConnection(windows.command('freeze <name>')))
    .description('Freeze a session under a name: the conversation up to its last turn')
    .requiredOption('--session <id>', 'session to freeze')
    .option('--no-wait', 'do not wait for the freeze to finish')
    .action((name: string, options: CommonOptions & LabelOptions & { session: string; wait: boolean }) =>
      runCommand(options, (context) => freeze(context, name, options)),
    )

  withConnection(windows.command('thaw <name>'))
    .description('Thaw a window into a session, by default a new one')
    .option('--session <id>', 'session to thaw into')
    .option('--replace', 'replace the context of a session that has turns of its own')
    .addOption(
      new Option('--to <tier>', "engine, or l1 to only load its chunks into LMCache's memory").choices(thawTargets),
    )
    .action((name: string, options: CommonOptions & ThawFlags) =>
      runCommand(options, (context) => thaw(context, name, options)),
    )

  withLabels(withConnection(windows.command('clone <source> <name>')))
    .description('Clone a window, or its first messages, under a new name')
    .option('--at <n>', 'number of messages to keep; whole exchanges only', positive)
    .action((source: string, name: string, options: CommonOptions & LabelOptions & { at?: number }) =>
      runCommand(options, async ({ rest, screen, show, progress, signal }) => {
        const body: CloneBody = { name, ...(options.at === undefined ? {} : { at: options.at }), ...labelsOf(options) }
        const answer = await progress(`cloning ${source}`, () =>
          rest.json<WindowJson>(`${windowPath(source)}/clone`, { method: 'POST', body, signal }),
        )
        show(answer, (window) => formatNewWindow(screen, window))
      }),
    )

  withConnection(windows.command('delete <name>'))
    .description('Delete a window and the KV that only it holds; prints a receipt')
    .option('--end-sessions', 'also end the sessions based on it (default: they continue, and keep its text)')
    .option('--yes', 'do not ask for confirmation')
    .option('--wait', 'wait until everything is deleted, except for what sessions keep')
    .action((name: string, options: CommonOptions & DeleteFlags) =>
      runCommand(options, (context) => remove(context, name, options)),
    )

  withConnection(windows.command('export <name>'))
    .description('Export a window to a file: messages, token ids, checksum; no KV')
    .option('--output <file>', 'output file; - for standard output (default: NAME.cwm.json)')
    .option('--force', 'replace an existing file')
    .action((name: string, options: CommonOptions & { output?: string; force?: boolean }) =>
      runCommand(options, (context) => saveExport(context, name, options)),
    )

  withConnection(windows.command('import <file>'))
    .description('Create a window from an exported file (- for standard input); the engine here rebuilds and checks it')
    .option('--name <name>', 'name of the window (default: the name in the file)')
    .action((file: string, options: CommonOptions & { name?: string }) =>
      runCommand(options, (context) => load(context, file, options)),
    )
}

async function list(context: CommandContext, options: WindowListOptions): Promise<void> {
  const { tag, model, state, session, parent, search, sort, order } = options
  const query = { tag, model, state, session_id: session, parent, search, sort, order }
  const { rest, screen, signal } = context
  const page = await listAll<WindowJson>(rest, '/cwm/v1/windows', options, { query, signal })
  showPage(context, page, windowColumns(screen.now()), 'windows')
}

async function freeze(
  { rest, screen, show, progress, signal }: CommandContext,
  name: string,
  options: LabelOptions & { session: string; wait: boolean },
): Promise<void> {
  const body: FreezeBody = { name, session_id: options.session, wait: options.wait, ...labelsOf(options) }
  const answer = await progress(`freezing ${name}`, () =>
    rest.json<WindowJson>('/cwm/v1/windows', { method: 'POST', body, signal }),
  )
  show(answer, (window) => formatNewWindow(screen, window))
  if (answer.state === 'failed') process.exitCode = 1
}

async function thaw(
  { rest, screen, show, progress, signal }: CommandContext,
  name: string,
  options: ThawFlags,
): Promise<void> {
  if (options.to === 'l1' && options.session !== undefined)
    throw new UsageError('--session cannot be combined with --to l1, which binds no session')
  const body: ThawBody = {
    ...(options.session === undefined ? {} : { session_id: options.session }),
    ...(options.to === undefined ? {} : { to: options.to }),
    ...(options.replace === true ? { replace: true } : {}),
  }
  const answer = await progress(`thawing ${name}`, () =>
    rest.json<ThawReceiptJson | PrefetchReceiptJson>(`${windowPath(name)}/thaw`, { method: 'POST', body, signal }),
  )
  show(answer, (receipt) => ('to' in receipt ? formatPrefetch(screen, receipt) : formatThaw(screen, receipt)))
}

interface DeleteFlags {
  readonly endSessions?: boolean
  readonly yes?: boolean
  readonly wait?: boolean
}

async function remove(context: CommandContext, name: string, options: DeleteFlags): Promise<void> {
  const { rest, screen, show, progress, signal } = context
  const isAsked = options.yes !== true && screen.isInteractive
  const window = isAsked ? await rest.json<WindowJson>(windowPath(name), { signal }) : undefined
  const endsSessions = options.endSessions === true
  const question = `Delete window ${name} and the KV that only it holds?${formatDependents(window?.base_of, endsSessions)}`
  if (!(await confirm(context, options, question))) return
  const query = endsSessions ? { sessions: 'end' } : {}
  const first = await progress(`deleting ${name}`, () =>
    rest.json<DeletionJson>(windowPath(name), { method: 'DELETE', query, signal }),
  )
  const answer = options.wait === true ? await waitForDeletion(context, first) : first
  show(answer, (receipt) => formatDeletion(screen, receipt))
}

async function load(
  { rest, screen, show, progress, signal }: CommandContext,
  file: string,
  { name }: { name?: string },
): Promise<void> {
  const rawBody = file === '-' ? await textOf(addAbortSignal(signal, process.stdin)) : await contentOf(file)
  const answer = await progress(`importing ${file}`, () =>
    rest.json<ImportJson>('/cwm/v1/windows/import', { method: 'POST', query: { name }, rawBody, signal }),
  )
  show(answer, ({ window, drift }) => [
    ...formatNewWindow(screen, window),
    ...(drift === true
      ? [screen.style('yellow', 'template or tokenizer here differ from those of the file: the new token ids are used')]
      : []),
  ])
}

async function contentOf(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read ${file}: ${thrown.code}`)
  })
}
