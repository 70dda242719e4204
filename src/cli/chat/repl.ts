// The loop of `cwm chat`: reads a line, sends it or runs it as a command, and prints the result.

import type { WindowJson } from '../../wire/windows.ts'
import { type CommandContext, formatError } from '../client/command.ts'
import { listAll } from '../client/lists.ts'
import { RefusedError, UnreachableError } from '../client/rest.ts'
import { withProgress } from '../terminal/progress.ts'
import { stripControlCharacters } from '../terminal/text.ts'
import { completionsOf, runSlash } from './commands.ts'
import { formatGauge } from './gauge.ts'
import { Lines } from './input.ts'
import type { Conversation } from './state.ts'
import { BrokenAnswerError } from './turn.ts'
import { turnNotices } from './turn-notices.ts'

/** Runs until the user leaves or the input ends. Returns whether every line succeeded. */
export async function runChat(context: CommandContext, conversation: Conversation): Promise<boolean> {
  const { rest, screen } = context
  context.takeOverInterrupt()
  /** Aborts the current turn or command. */
  let stop = new AbortController()
  let allWell = true
  const lines = new Lines({
    complete: (line) =>
      completionsOf(line, async () => {
        const { data } = await listAll<WindowJson>(rest, '/cwm/v1/windows', { limit: 1_000 })
        return data.map(({ name }) => name)
      }),
    onInterrupt: () => stop.abort(),
  })
  try {
    for (;;) {
      const text = await readText(context, lines, formatGauge(screen, conversation.status))
      if (text === undefined) return allWell
      if (text.trim() === '') continue
      if (/^\/(quit|exit)\s*$/.test(text)) return allWell
      stop = new AbortController()
      allWell = (await runLine(context, conversation, text, stop.signal)) && allWell
    }
  } finally {
    lines.close()
  }
}

/** The user's next input, of several lines if they end in a backslash; undefined if the user leaves. */
async function readText({ screen }: CommandContext, lines: Lines, gauge: string): Promise<string | undefined> {
  let text = ''
  let warned = false
  for (;;) {
    const prompt = text === '' ? `${gauge === '' ? '' : `${gauge} `}> ` : '… '
    const input = await lines.next(prompt)
    if (input === 'ended') return text === '' ? undefined : text
    if (input === 'interrupted') {
      if (!lines.isTerminal || (warned && lines.typed === '' && text === '')) return undefined
      warned = lines.typed === '' && text === ''
      screen.printError(warned ? '\npress Ctrl-C again or type /quit to leave' : '')
      lines.clear()
      text = ''
      continue
    }
    if (!input.line.endsWith('\\')) return text + input.line
    text += `${input.line.slice(0, -1)}\n`
  }
}

/** Runs a slash command or a turn, and returns whether it succeeded. Errors are printed, and the chat continues. */
async function runLine(
  context: CommandContext,
  conversation: Conversation,
  text: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { screen } = context
  try {
    if (text.startsWith('/')) {
      const slash = { context, conversation, signal }
      for (const line of await withProgress(text, () => runSlash(slash, text))) screen.print(line)
    } else await sendTurn(context, conversation, text, signal)
    return true
  } catch (thrown) {
    if (signal.aborted) screen.printError('stopped; this turn is not part of the chat')
    else if (thrown instanceof RefusedError || thrown instanceof UnreachableError)
      screen.printError(formatError(thrown))
    else if (thrown instanceof BrokenAnswerError)
      screen.printError(`cwm: ${thrown.message}; this turn is not part of the chat`)
    else throw thrown
    return false
  }
}

async function sendTurn(
  context: CommandContext,
  conversation: Conversation,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  const { screen } = context
  const before = conversation.status
  let began = false
  const answer = await conversation
    .send(text, signal, (piece) => {
      began = true
      process.stdout.write(stripControlCharacters(piece))
    })
    .finally(() => {
      if (began) process.stdout.write('\n')
    })
  const after = await conversation.refresh(signal)
  for (const line of turnNotices(answer, before, after)) screen.printError(screen.style('dim', `(${line})`))
}
