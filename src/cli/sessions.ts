// `cwm sessions`: lists, shows, and ends sessions of a running cwm.

import type { Command } from 'commander'
import type { DeletionJson } from '../wire/deletions.ts'
import type { SessionJson } from '../wire/sessions.ts'
import { type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { confirm } from './client/confirm.ts'
import { waitForDeletion } from './client/deletion.ts'
import { type ListOptions, listAll, showPage, withPaging } from './client/lists.ts'
import { sessionPath } from './client/paths.ts'
import { formatDeletion } from './client/receipts.ts'
import { formatSession, sessionColumns } from './windows-text.ts'

/** Adds the command `sessions` and its subcommands. */
export function addSessions(program: Command): void {
  const sessions = program.command('sessions').description('Manage sessions of a running cwm: live conversations')

  withPaging(withConnection(sessions.command('list')))
    .description('List sessions, most recent turn first')
    .action((options: CommonOptions & ListOptions) =>
      runCommand(options, async (context) => {
        const { rest, screen, signal } = context
        const page = await listAll<SessionJson>(rest, '/cwm/v1/sessions', options, { signal })
        showPage(context, page, sessionColumns(screen.now()), 'sessions')
      }),
    )

  withConnection(sessions.command('show <id>'))
    .description('Show a session: how full its context is, and how its last turn went')
    .action((id: string, options: CommonOptions) =>
      runCommand(options, async ({ rest, screen, show, signal }) => {
        show(await rest.json<SessionJson>(sessionPath(id), { signal }), (session) => formatSession(screen, session))
      }),
    )

  withConnection(sessions.command('end <id>'))
    .description('End a session and delete the KV that only it holds; prints a receipt')
    .option('--yes', 'do not ask for confirmation')
    .option('--wait', 'wait until everything is deleted')
    .action((id: string, options: CommonOptions & { yes?: boolean; wait?: boolean }) =>
      runCommand(options, async (context) => {
        const { rest, screen, show, progress, signal } = context
        if (!(await confirm(context, options, `End session ${id} and delete the KV that only it holds?`))) return
        const first = await progress(`ending ${id}`, () =>
          rest.json<DeletionJson>(sessionPath(id), { method: 'DELETE', signal }),
        )
        const answer = options.wait === true ? await waitForDeletion(context, first) : first
        show(answer, (receipt) => formatDeletion(screen, receipt))
      }),
    )
}
