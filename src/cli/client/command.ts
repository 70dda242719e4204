// Shared by all commands that talk to a running cwm: connection options, JSON output, and exit codes.

import type { Command } from 'commander'
import { isObject, parseJson } from '../../base/json.ts'
import { withProgress } from '../terminal/progress.ts'
import { processScreen, type Screen } from '../terminal/screen.ts'
import { widthOf, wrap } from '../terminal/text.ts'
import { type ConnectionOptions, connect, RefusedError, type Rest, UnreachableError, UsageError } from './rest.ts'

/** Exit codes, documented in docs/cli.md. */
export const exitCodes = { refused: 1, usage: 2, unreachable: 3 } as const

export interface CommonOptions extends ConnectionOptions {
  readonly json?: boolean | undefined
}

/** Keys come from a variable or a file, never from a flag, because all users of a machine can read the command lines of processes. */
export function withConnection(command: Command): Command {
  return command
    .option('--url <url>', 'where cwm runs (env: CWM_URL; default: http://127.0.0.1:8787)')
    .option('--api-key-file <file>', 'file that contains the API key (default: the variable CWM_API_KEY)')
    .option('--tenant <id>', "tenant to act for, with the operator's key")
    .option('--json', "print REST's response as JSON, and errors too")
}

export interface CommandContext {
  readonly rest: Rest
  readonly screen: Screen
  readonly json: boolean
  /** Aborts if the command is interrupted. */
  readonly signal: AbortSignal
  /** From now on the command handles Ctrl-C itself. */
  takeOverInterrupt(): void
  /** Prints the answer: as JSON with `--json`, otherwise as the given lines. */
  show<T>(answer: T, lines: (answer: T) => readonly string[]): void
  /** Runs slow work and reports its progress. */
  progress<T>(what: string, work: () => Promise<T>): Promise<T>
}

/** Runs a command: connects, and turns exceptions into messages and an exit code. */
export async function runCommand(
  options: CommonOptions,
  work: (context: CommandContext) => Promise<void>,
): Promise<void> {
  const screen = processScreen()
  const json = options.json === true
  const interrupt = new AbortController()
  const stop = () => {
    process.exitCode = 130
    interrupt.abort()
  }
  process.once('SIGINT', stop)
  try {
    await work({
      rest: await connect(options, process.env),
      screen,
      json,
      signal: interrupt.signal,
      takeOverInterrupt: () => process.off('SIGINT', stop),
      show: (answer, lines) => {
        if (json) screen.print(JSON.stringify(answer, null, 2))
        else for (const line of lines(answer)) for (const part of wrapped(screen, line)) screen.print(part)
      },
      progress: (what, task) => withProgress(what, task),
    })
  } catch (thrown) {
    if (interrupt.signal.aborted) return
    const code = exitCodeOf(thrown)
    if (code === undefined) throw thrown
    process.exitCode = code
    screen.printError(json ? formatErrorAsJson(thrown as Error) : formatError(thrown as Error))
  } finally {
    process.off('SIGINT', stop)
  }
}

/** Receipts are sentences, so on a terminal they are wrapped between words. Text of several lines is printed as it is. */
function wrapped(screen: Screen, line: string): readonly string[] {
  const fits = !screen.isTerminal || line.includes('\n') || widthOf(line) <= screen.columns
  return fits ? [line] : wrap(line, screen.columns)
}

function exitCodeOf(thrown: unknown): number | undefined {
  if (thrown instanceof RefusedError) return exitCodes.refused
  if (thrown instanceof UsageError) return exitCodes.usage
  if (thrown instanceof UnreachableError) return exitCodes.unreachable
  return undefined
}

export function formatError(error: Error): string {
  const next =
    error instanceof UnreachableError
      ? '\nstart it with: cwm serve --upstream URL; if it runs elsewhere, set --url or CWM_URL'
      : ''
  return `cwm: ${error.message}${next}`
}

/** REST's own error body if there is one. */
function formatErrorAsJson(error: Error): string {
  const body = error instanceof RefusedError ? parseJson(error.body) : undefined
  if (isObject(body)) return JSON.stringify(body)
  const code = error instanceof UnreachableError ? 'unreachable' : error instanceof UsageError ? 'usage' : 'refused'
  return JSON.stringify({ error: { message: error.message, type: 'cli_error', param: null, code } })
}
