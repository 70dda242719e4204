// `cwm reload`: makes a running cwm read its settings again.

import type { Command } from 'commander'
import type { ReloadJson } from '../wire/reload.ts'
import { type CommonOptions, runCommand, withConnection } from './client/command.ts'

export function addReload(program: Command): void {
  withConnection(program.command('reload'))
    .description(
      "Make a running cwm read its settings again: keys, tenants, limits, policies, engines, log level. Needs the operator's key",
    )
    .action((options: CommonOptions) =>
      runCommand(options, async ({ rest, show, signal }) => {
        const report = await rest.json<ReloadJson>('/cwm/v1/reload', { method: 'POST', body: {}, signal })
        show(report, formatReload)
      }),
    )
}

export function formatReload({ changed, needs_restart, keys_added, keys_removed }: ReloadJson): string[] {
  const lines: readonly (readonly [string, readonly string[]])[] = [
    ['changed', changed],
    ['keys added', keys_added],
    ['keys removed', keys_removed],
    ['needs a restart', needs_restart],
  ]
  const filled = lines.filter(([, names]) => names.length > 0)
  if (filled.length === 0) return ['nothing changed']
  return filled.map(([label, names]) => `${label.padEnd(16)}${names.join(', ')}`)
}
