// `cwm sessions`: lists, shows and ends sessions of a running cwm.

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

/** Adds the command and what is below it. */
export function addSessions(program: Command): void {
  const sessions = program
    .command('sessions')
    .description('Sessions of a running cwm: conversations with a KV cache of their own')

  withPaging(withConnection(sessions.command('list')))
    .description('List sessions, last turn first')
    .action((options: CommonOptions & ListOptions) =>
      runCommand(options, async (context) => {
        const { rest, screen, signal } = context
        const page = await listAll<SessionJson>(rest, '/cwm/v1/sessions', options, { signal })
        showPage(context, page, sessionColumns(screen.now()), 'sessions')
      }),
    )

  withConnection(sessions.command('show <id>'))
    .description('Show a session: how full its context is, and what became of its last turn')
    .action((id: string, options: CommonOptions) =>
      runCommand(options, async ({ rest, screen, show, signal }) => {
        show(await rest.json<SessionJson>(sessionPath(id), { signal }), (session) => formatSession(screen, session))
      }),
    )

  withConnection(sessions.command('end <id>'))
    .description('End a session and delete what only it holds, with a receipt')
    .option('--yes', 'do not ask')
    .option('--wait', 'wait until nothing is left')
    .action((id: string, options: CommonOptions & { yes?: boolean; wait?: boolean }) =>
      runCommand(options, async (context) => {
        const { rest, screen, show, progress, signal } = context
        if (!(await confirm(context, options, `End session ${id} and delete what only it holds?`))) return
        const first = await progress(`ending ${id}`, () =>
          rest.json<DeletionJson>(sessionPath(id), { method: 'DELETE', signal }),
        )
        const answer = options.wait === true ? await waitForDeletion(context, first) : first
        show(answer, (receipt) => formatDeletion(screen, receipt))
      }),
    )
}
