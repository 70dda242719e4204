// Where a command writes: standard output for what was asked, standard error for what is told beside it. Colors and columns only on a terminal.

import { WriteStream } from 'node:tty'

export interface Screen {
  /** Standard output is a terminal: align, cut, and tell times as ages. */
  readonly isTerminal: boolean
  /** Somebody is there who can answer a question. */
  readonly isInteractive: boolean
  /** Columns of standard output. */
  readonly columns: number
  readonly now: () => number
  print(text: string): void
  /** Told beside the result. */
  printError(text: string): void
  style(style: Style, text: string): string
}

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39] } as const

export type Style = keyof typeof codes

/** The process's own. `NO_COLOR` (https://no-color.org) turns colors off, `FORCE_COLOR` turns them on where there is no terminal. */
export function processScreen(): Screen {
  const { stdout, stderr, stdin, env } = process
  const isColored = wantsColor(env, stdout)
  return {
    isTerminal: stdout.isTTY === true,
    isInteractive: stdin.isTTY === true && stderr.isTTY === true,
    columns: stdout.columns || 80,
    now: Date.now,
    print: (text) => void stdout.write(`${text}\n`),
    printError: (text) => void stderr.write(`${text}\n`),
    style: (style, text) => (isColored ? `\u001b[${codes[style][0]}m${text}\u001b[${codes[style][1]}m` : text),
  }
}

/** Whether output to that stream may be colored. */
export function wantsColor(env: NodeJS.ProcessEnv, to: NodeJS.WriteStream): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  return to instanceof WriteStream && to.hasColors()
}
