// `cwm ask`: asks a frozen window of a running cwm.

import type { Command } from 'commander'
import type { AskBody, WindowAnswerJson } from '../wire/asks.ts'
import { type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { positive } from './client/lists.ts'
import { windowPath } from './client/paths.ts'
import { formatAnswer } from './client/receipts.ts'

interface AskFlags extends CommonOptions {
  readonly window: string
  readonly instructions?: string
  readonly maxTokens?: number
}

/** Adds the command `ask`. */
export function addAsk(program: Command): void {
  withConnection(program.command('ask <question>'))
    .description('Ask a frozen window; the conversation in it stays as it is')
    .requiredOption('--window <name>', 'window to ask')
    .option('--instructions <text>', 'how to answer')
    .option('--max-tokens <n>', 'most tokens of the answer', positive)
    .action((question: string, options: AskFlags) =>
      runCommand(options, async ({ rest, screen, show, progress, signal }) => {
        const { window, instructions, maxTokens } = options
        const body: AskBody = {
          question,
          ...(instructions === undefined ? {} : { instructions }),
          ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
        }
        const answer = await progress(`asking ${window}`, () =>
          rest.json<WindowAnswerJson>(`${windowPath(window)}/ask`, { method: 'POST', body, signal }),
        )
        show(answer, (shown) => formatAnswer(screen, shown))
      }),
    )
}
