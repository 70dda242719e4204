// `cwm chat`: a conversation through a running cwm, whose context is shown, frozen and thawed where it happens.

import type { Command } from 'commander'
import type { WindowJson } from '../wire/windows.ts'
import { listModels } from './chat/commands.ts'
import { runChat } from './chat/repl.ts'
import { Conversation } from './chat/state.ts'
import { type CommandContext, type CommonOptions, runCommand, withConnection } from './client/command.ts'
import { windowPath } from './client/paths.ts'
import { UsageError } from './client/rest.ts'
import { count } from './terminal/text.ts'

interface ChatFlags extends CommonOptions {
  readonly window?: string
  readonly session?: string
  readonly model?: string
  readonly system?: string
}

/** Adds the command. */
export function addChat(program: Command): void {
  withConnection(program.command('chat'))
    .description('Talk to a model through cwm; /freeze, /thaw and others in the chat, /help lists them')
    .option('--window <name>', 'go on from this window')
    .option('--session <id>', 'the session (default: a new one)')
    .option('--model <model>', "the model (default: the window's, else the first that there is)")
    .option('--system <text>', 'a system message to begin with')
    .action((flags: ChatFlags) => runCommand(flags, (context) => chat(context, flags)))
}

async function chat(context: CommandContext, { window, session, model, system }: ChatFlags): Promise<void> {
  if (context.json) throw new UsageError('a chat has no JSON: leave --json out')
  if (window !== undefined && system !== undefined)
    throw new UsageError('a window has its own system message: leave --system out')
  const { rest, screen, signal } = context
  const frozen = window === undefined ? undefined : await rest.json<WindowJson>(windowPath(window), { signal })
  const [first] = model === undefined && frozen?.model === undefined ? await listModels(rest, signal) : []
  const chosen = model ?? frozen?.model ?? first
  if (chosen === undefined) throw new UsageError('the engine lists no model: give --model')
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
      `it has turns that are not here (${count(status.turns)}): to go on from them, /freeze NAME and /thaw NAME; what you say now begins anew`,
    )
  }
  if (!(await runChat(context, conversation))) process.exitCode = screen.isInteractive ? 0 : 1
}
