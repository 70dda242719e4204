// A program on a terminal of its own, made by `script` of util-linux: what it draws, keys, and its size.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { until, within } from './deadline.ts'

export interface OnTerminalOptions {
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly columns?: number
  readonly rows?: number
}

export class OnTerminal {
  /** Everything written to the terminal, escape sequences included. */
  out = ''
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>

  /** @param command A line for `sh`. It is started with the size set, after its process id and terminal are known. */
  constructor(command: string, { env, cwd, columns = 80, rows = 24 }: OnTerminalOptions) {
    const line = `stty cols ${columns} rows ${rows}; (echo "PID=$(sh -c 'echo $PPID') TTY=$(tty)."; exec ${command}); code=$?; echo "MODES=$(stty -a | grep -oE -- '-?\\b(icanon|echo)\\b' | xargs)."; echo "ENDED=$code."`
    this.#child = spawn('script', ['-qec', line, '/dev/null'], { env, ...(cwd === undefined ? {} : { cwd }) })
    this.#closed = once(this.#child, 'close')
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
    })
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  /** Waits until it has written the text, from `from` on. */
  async shows(text: RegExp, from = 0): Promise<string> {
    return await until(`the terminal shows ${text}`, () => text.exec(this.out.slice(from))?.[0], 30_000)
  }

  async resize(columns: number, rows: number): Promise<void> {
    const tty = /TTY=(.+?)\./.exec(await this.shows(/TTY=.+?\./))?.[1] ?? ''
    execFileSync('stty', ['-F', tty, 'cols', String(columns), 'rows', String(rows)])
  }

  /** Sends the signal to the program, which is what `exec` started. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(Number(/PID=(\d+)/.exec(await this.shows(/PID=\d+/))?.[1]), signal)
  }

  /** Its exit code. */
  async ended(): Promise<number> {
    return Number(/ENDED=(\d+)/.exec(await this.shows(/ENDED=\d+\./))?.[1])
  }

  /** How the terminal takes input after the program has ended: `icanon echo`, unless it was left in raw mode. */
  async modesAfterwards(): Promise<string> {
    return /MODES=(.*?)\./.exec(await this.shows(/MODES=.*?\./))?.[1] ?? ''
  }

  /** Whether the program still runs. */
  async isRunning(): Promise<boolean> {
    const pid = /PID=(\d+)/.exec(await this.shows(/PID=\d+/))?.[1]
    try {
      // A process that has ended may wait for its parent to take note of it, as a zombie.
      return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
    } catch {
      return false
    }
  }

  async close(): Promise<void> {
    this.#child.kill()
    await within('the terminal closes', this.#closed)
  }
}
