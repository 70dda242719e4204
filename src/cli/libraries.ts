// `cwm library`: makes, lists, shows, and deletes libraries of a running cwm.

import { isUtf8 } from 'node:buffer'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { buffer as bytesOf } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { type LibraryBody, type LibraryDeletionJson, type LibraryJson, textFormats } from '../wire/libraries.ts'
import { type CommandContext, type CommonOptions, exitCodes, runCommand, withConnection } from './client/command.ts'
import { confirm } from './client/confirm.ts'
import { collect, type ListOptions, listAll, positive, showPage, withPaging } from './client/lists.ts'
import { libraryPath } from './client/paths.ts'
import { UsageError } from './client/rest.ts'
import { invalidUtf8At } from './invalid-utf8.ts'
import { formatLibrary, formatLibraryDeletion, libraryColumns } from './libraries-text.ts'
import { StatusLine } from './terminal/status-line.ts'

interface AddFlags extends CommonOptions {
  readonly model?: string
  readonly tokens?: number
  readonly tag?: readonly string[]
  readonly format?: (typeof textFormats)[number]
  readonly wait: boolean
}

/** How long each request waits for a build. */
const WAIT_MS = 1_000
const MARKDOWN = /\.(md|markdown|mdx)$/i

/** Adds the command `library` and its subcommands. */
export function addLibraries(program: Command): void {
  const library = program
    .command('library')
    .description('Manage libraries of a running cwm: texts cut into windows that share a tag')

  withConnection(library.command('add <name> <files...>'))
    .description('Create a library from text files, or replace its texts; unchanged parts stay (- for standard input)')
    .option('--model <name>', 'model of its windows (default: the current one, or the only one that the engine serves)')
    .option('--tokens <n>', 'most tokens of a window (default: the current number, or 4096)', positive)
    .option('--tag <tag>', 'tag of its windows, in addition to library:NAME; may be repeated', collect)
    .addOption(new Option('--format <format>', 'format of the files (default: by their names)').choices(textFormats))
    .option('--no-wait', 'do not wait until all windows are frozen')
    .action((name: string, files: string[], options: AddFlags) =>
      runCommand(options, (context) => add(context, name, files, options)),
    )

  withPaging(withConnection(library.command('list')))
    .description('List libraries by name')
    .action((options: CommonOptions & ListOptions) =>
      runCommand(options, async (context) => {
        const page = await listAll<LibraryJson>(context.rest, '/cwm/v1/libraries', options, {
          signal: context.signal,
          maxPage: 100,
        })
        showPage(context, page, libraryColumns(context.screen.now()), 'libraries')
      }),
    )

  withConnection(library.command('show <name>'))
    .description('Show a library: its texts, and the progress of its build')
    .option('--wait', 'wait until it is no longer being built')
    .action((name: string, options: CommonOptions & { wait?: boolean }) =>
      runCommand(options, async (context) => {
        const { rest, screen, show, signal } = context
        const first = await rest.json<LibraryJson>(libraryPath(name), { signal })
        show(options.wait === true ? await waitFor(context, first) : first, (shown) => formatLibrary(screen, shown))
      }),
    )

  withConnection(library.command('delete <name>'))
    .description('Delete a library with all its windows; prints a receipt')
    .option('--yes', 'do not ask for confirmation')
    .action((name: string, options: CommonOptions & { yes?: boolean }) =>
      runCommand(options, async (context) => {
        const { rest, screen, show, progress, signal } = context
        if (!(await confirm(context, options, `Delete library ${name} with all its windows?`))) return
        const receipt = await progress(`deleting ${name}`, () =>
          rest.json<LibraryDeletionJson>(libraryPath(name), { method: 'DELETE', signal }),
        )
        show(receipt, (shown) => formatLibraryDeletion(screen, shown))
      }),
    )
}

async function add(context: CommandContext, name: string, files: readonly string[], options: AddFlags): Promise<void> {
  const { rest, screen, show, progress, signal } = context
  const { model, tokens, tag, wait } = options
  const body: LibraryBody = {
    texts: await Promise.all(files.map((file) => readText(file, options, signal))),
    ...(model === undefined ? {} : { model }),
    ...(tokens === undefined ? {} : { tokens_per_window: tokens }),
    ...(tag === undefined ? {} : { tags: [...tag] }),
  }
  const put = () => rest.json<LibraryJson>(libraryPath(name), { method: 'PUT', body, signal })
  const first = await progress(`cutting ${name}`, put)
  const library = wait ? await waitFor(context, first) : first
  show(library, (shown) => formatLibrary(screen, shown))
  if (library.state === 'failed') process.exitCode = exitCodes.refused
}

async function readText(
  file: string,
  { format }: AddFlags,
  signal: AbortSignal,
): Promise<LibraryBody['texts'][number]> {
  const text = textOf(file, file === '-' ? await bytesOf(addAbortSignal(signal, process.stdin)) : await contentOf(file))
  const byName = MARKDOWN.test(file) ? 'markdown' : 'plain'
  return { text, format: format ?? byName, ...(file === '-' ? {} : { title: basename(file) }) }
}

function contentOf(file: string): Promise<Buffer> {
  return readFile(file).catch((thrown: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read ${file}: ${thrown.code}`)
  })
}

/** Throws `UsageError` with the offset of the first byte that is not UTF-8. */
function textOf(file: string, bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  const name = file === '-' ? 'standard input' : file
  throw new UsageError(
    `${name} is not text in UTF-8 (byte ${invalidUtf8At(bytes)}); convert it to plain text or Markdown first`,
  )
}

/** Waits until the library is ready or failed, and shows its progress. There is no timeout: the user can interrupt, and the build continues. */
async function waitFor({ rest, signal }: CommandContext, first: LibraryJson): Promise<LibraryJson> {
  const status = new StatusLine()
  try {
    let library = first
    while (library.state === 'building') {
      const { done = 0, total = 0 } = library.build ?? {}
      status.show(`freezing ${library.name}: ${done} of ${total} windows`)
      library = await rest.json<LibraryJson>(libraryPath(library.name), { query: { wait_ms: WAIT_MS }, signal })
    }
    return library
  } finally {
    status.clear()
  }
}
