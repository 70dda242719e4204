// `cwm chat`: a conversation through a running cwm that shows how full the context is, and can freeze and thaw it.

import type { Command } from 'commander'
import type { WindowJson } from '../wire/windows.ts'
import { listModels } from './chat/commands.ts'
import { runChat } from './chat/repl.ts'
import { Conversation } from './chat/state.ts'
import { type CommandContext, type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { windowPath } from './client/paths.ts'
import { UsageError } from './client/rest.ts'
import { pluralize } from './terminal/text.ts'

interface ChatFlags extends CommonOptions {
  readonly window?: string
  readonly session?: string
  readonly model?: string
  readonly system?: string
}

/** Adds the command `chat`. */
export function addChat(program: Command): void {
  withConnection(program.command('chat'))
    .description('Chat with a model through cwm, with commands such as /freeze and /thaw (see /help in the chat)')
    .option('--window <name>', 'continue from this window')
    .option('--session <id>', 'session to use (default: a new one)')
    .option('--model <model>', "model to use (default: the window's, otherwise the first one listed)")
    .option('--system <text>', 'system message of the chat')
    .action((flags: ChatFlags) => runCommand(flags, (context) => chat(context, flags)))
}

async function chat(context: CommandContext, { window, session, model, system }: ChatFlags): Promise<void> {
  if (context.json) throw new UsageError('chat does not support --json')
  if (window !== undefined && system !== undefined)
    throw new UsageError('--system cannot be combined with --window, which has its own system message')
  const { rest, screen, signal } = context
  const frozen = window === undefined ? undefined : await rest.json<WindowJson>(windowPath(window), { signal })
  const [first] = model === undefined && frozen?.model === undefined ? await listModels(rest, signal) : []
  const chosen = model ?? frozen?.model ?? first
  if (chosen === undefined) throw new UsageError('the engine lists no models: specify one with --model')
  const conversation = new Conversation(rest, { model: chosen, session, window, system })
  const status = await conversation.refresh(signal)
  const known = status !== undefined && status.turns > 0 && window === undefined
  screen.printError(
    screen.style(
      'dim',
      `session ${conversation.session}, model ${chosen}${window === undefined ? '' : `, window ${window}`}; /help lists the commands`,
    ),
  )
  if (known) {
    screen.printError(
      `this session already has ${pluralize(status.turns, 'turn')}, which this chat does not know. To continue from them, use /freeze NAME and then /thaw NAME; otherwise your next message starts over`,
    )
  }
  if (!(await runChat(context, conversation))) process.exitCode = screen.isInteractive ? 0 : 1
}
