// Asks for confirmation before permanent operations.

import { createInterface } from 'node:readline/promises'
import type { CommandContext } from './command.ts'
import { UsageError } from './rest.ts'

/** Whether to proceed: by `--yes` or the user's answer. Throws `UsageError` in non-interactive mode. */
export async function confirm(
  { screen, signal }: CommandContext,
  { yes }: { readonly yes?: boolean | undefined },
  question: string,
): Promise<boolean> {
  if (yes === true) return true
  if (!screen.isInteractive) throw new UsageError('this is permanent. Pass --yes to confirm in non-interactive mode')
  const dialog = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await dialog.question(`${question} [y/N] `, { signal })).trim())
  } finally {
    dialog.close()
  }
}
