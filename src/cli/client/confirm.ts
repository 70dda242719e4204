// What cannot be undone is asked first.

import { createInterface } from 'node:readline/promises'
import type { CommandContext } from './command.ts'
import { UsageError } from './rest.ts'

/** Whether to go on: by `--yes`, or by an answer. Throws `UsageError` where there is nobody to ask. */
export async function confirm(
  { screen, signal }: CommandContext,
  { yes }: { readonly yes?: boolean | undefined },
  question: string,
): Promise<boolean> {
  if (yes === true) return true
  if (!screen.isInteractive) throw new UsageError('this cannot be undone: give --yes where nobody can be asked')
  const dialog = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await dialog.question(`${question} [y/N] `, { signal })).trim())
  } finally {
    dialog.close()
  }
}
