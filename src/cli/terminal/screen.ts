// Where a command writes: results to standard output, messages to standard error. Colors and columns are used on a terminal only.

import { WriteStream } from 'node:tty'

export interface Screen {
  /** Whether standard output is a terminal. If so, tables are aligned and truncated, and times are shown as ages. */
  readonly isTerminal: boolean
  /** Whether the user can answer questions. */
  readonly isInteractive: boolean
  /** Width of standard output in columns; changes when the terminal is resized. */
  readonly columns: number
  readonly now: () => number
  print(text: string): void
  /** Prints a message to standard error. */
  printError(text: string): void
  style(style: Style, text: string): string
}

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const

export type Style = keyof typeof codes

/** The screen of this process. `NO_COLOR` (https://no-color.org) turns colors off, `FORCE_COLOR` turns them on without a terminal. */
export function processScreen(): Screen {
  const { stdout, stderr, stdin, env } = process
  const isColored = wantsColor(env, stdout)
  return {
    isTerminal: stdout.isTTY === true,
    isInteractive: stdin.isTTY === true && stderr.isTTY === true,
    get columns() {
      return stdout.columns || 80
    },
    now: Date.now,
    print: (text) => void stdout.write(`${text}\n`),
    printError: (text) => void stderr.write(`${text}\n`),
    style: (style, text) => (isColored ? `\u001b[${codes[style][0]}m${text}\u001b[${codes[style][1]}m` : text),
  }
}

/** Whether to color output to the stream. */
export function wantsColor(env: NodeJS.ProcessEnv, to: NodeJS.WriteStream): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  return to instanceof WriteStream && to.hasColors()
}
