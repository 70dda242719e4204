// What all commands that talk to a running cwm share: their options, their JSON, and how they end.

import type { Command } from 'commander'
import { isObject, parseJson } from '../../base/json.ts'
import { withProgress } from '../terminal/progress.ts'
import { processScreen, type Screen } from '../terminal/screen.ts'
import { type ConnectionOptions, connect, RefusedError, type Rest, UnreachableError, UsageError } from './rest.ts'

/** How a command ends, as docs/cli.md says it. */
export const exitCodes = { refused: 1, usage: 2, unreachable: 3 } as const

export interface CommonOptions extends ConnectionOptions {
  readonly json?: boolean | undefined
}

/** A key is taken from a variable or a file, never from a flag: the command lines of a machine's processes are everybody's to read. */
export function withConnection(command: Command): Command {
  return command
    .option('--url <url>', 'where cwm runs (env: CWM_URL; default: http://127.0.0.1:8787)')
    .option('--api-key-file <file>', 'file with the API key (default: the variable CWM_API_KEY)')
    .option('--tenant <id>', "tenant to act for, with the operator's key")
    .option('--json', 'print what REST answered, and faults as JSON too')
}

export interface CommandContext {
  readonly rest: Rest
  readonly screen: Screen
  readonly json: boolean
  /** The command was interrupted. */
  readonly signal: AbortSignal
  /** From now on the command itself hears Ctrl-C. */
  takeOverInterrupt(): void
  /** Prints the answer: as JSON where that is asked for, else the lines made of it. */
  show<T>(answer: T, lines: (answer: T) => readonly string[]): void
  /** Does what may take long, and says so. */
  progress<T>(what: string, work: () => Promise<T>): Promise<T>
}

/** Runs a command to its end: connects, and turns what is thrown into words and an exit code. */
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
        else for (const line of lines(answer)) screen.print(line)
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

function exitCodeOf(thrown: unknown): number | undefined {
  if (thrown instanceof RefusedError) return exitCodes.refused
  if (thrown instanceof UsageError) return exitCodes.usage
  if (thrown instanceof UnreachableError) return exitCodes.unreachable
  return undefined
}

export function formatError(fault: Error): string {
  const next =
    fault instanceof UnreachableError ? '\nis it running? cwm serve --upstream URL; elsewhere? --url or CWM_URL' : ''
  return `cwm: ${fault.message}${next}`
}

/** REST's own error where there is one. */
function formatErrorAsJson(fault: Error): string {
  const body = fault instanceof RefusedError ? parseJson(fault.body) : undefined
  if (isObject(body)) return JSON.stringify(body)
  const code = fault instanceof UnreachableError ? 'unreachable' : fault instanceof UsageError ? 'usage' : 'refused'
  return JSON.stringify({ error: { message: fault.message, type: 'cli_error', param: null, code } })
}
