// A command of cwm as a process: its output, its exit, and input while it runs.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { BuiltCwm } from './built-cwm.ts'
import { until, within } from './deadline.ts'

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The complete standard input, which stays open if absent. */
  readonly input?: string | Uint8Array
  readonly cwd?: string
}

export interface CliResult {
  readonly out: string
  readonly err: string
  /** Exit code, or the signal that ended it. */
  readonly ended: number | NodeJS.Signals | null
}

export class CliProcess {
  readonly child: ChildProcess
  out = ''
  err = ''
  readonly #exit: Promise<unknown>

  constructor({ main }: BuiltCwm, words: readonly string[], { env, input, cwd }: CliOptions) {
    this.child = spawn(process.execPath, [main, ...words], {
      // The developer's own settings must not reach the process under test.
      env: { PATH: process.env.PATH, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    })
    this.#exit = once(this.child, 'close')
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text
    })
    if (input !== undefined) this.child.stdin?.end(input)
  }

  say(line: string): void {
    this.child.stdin?.write(`${line}\n`)
  }

  /** Waits until standard output and error together contain it. */
  async shows(text: string | RegExp): Promise<void> {
    await until(`it shows ${text}`, () => {
      const all = this.out + this.err
      return typeof text === 'string' ? all.includes(text) : text.test(all)
    })
  }

  async result(ms = 30_000): Promise<CliResult> {
    await within('the command ends', this.#exit, ms)
    return { out: this.out, err: this.err, ended: this.child.exitCode ?? this.child.signalCode }
  }

  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.#exit
  }
}
