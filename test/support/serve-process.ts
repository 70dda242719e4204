// `cwm serve` as a process, built from this source, for tests of signals, exit codes, and standard error.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BuiltCwm } from './built-cwm.ts'
import { until, within } from './deadline.ts'

export interface ServeOptions {
  readonly upstream: string
  /** Flags by name, without their dashes. */
  readonly flags?: Readonly<Record<string, string | number>>
  readonly env?: Readonly<Record<string, string>>
  /** Data directory of an earlier process. By default a new one is created, and removed by `dispose`. */
  readonly dataDir?: string
  /** Options of Node itself. */
  readonly node?: readonly string[]
}

export class ServeProcess {
  readonly dataDir: string
  readonly child: ChildProcess
  readonly #exit: Promise<unknown>
  #output = ''

  constructor(child: ChildProcess, dataDir: string) {
    this.child = child
    this.dataDir = dataDir
    this.#exit = once(child, 'exit')
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
    })
  }

  /** What it has written to standard error so far. */
  get output(): string {
    return this.#output
  }

  /** The lines of its log so far. */
  get log(): readonly Record<string, unknown>[] {
    const lines = this.#output.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}'))
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Its address, once it is ready. */
  ready(): Promise<string> {
    return until('the ready line', () => this.#url(), 30_000)
  }

  /** Parsed from its startup message in either format. */
  #url(): string | undefined {
    const { url } = this.log.find(({ msg }) => msg === 'ready') ?? {}
    return typeof url === 'string' ? url.slice(0, -'/v1'.length) : /^ready\s+(http:\S+)\/v1/m.exec(this.#output)?.[1]
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Its exit code, or the signal that ended it, once it has ended. */
  async ended(ms = 30_000): Promise<number | NodeJS.Signals | null> {
    await within('cwm ends', this.#exit, ms)
    return this.child.exitCode ?? this.child.signalCode
  }

  /** Stops it if it is running, and removes its data. */
  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.#exit
    await rm(this.dataDir, { recursive: true, force: true })
  }
}

/** Starts it on a free port. */
export async function startServe({ main }: BuiltCwm, options: ServeOptions): Promise<ServeProcess> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'cwm-serve-')))
  const flags = { upstream: options.upstream, port: 0, 'data-dir': dataDir, ...options.flags }
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = spawn(process.execPath, [...(options.node ?? []), main, 'serve', ...words], {
    cwd: dataDir,
    // The developer's own settings must not reach the process under test.
    env: { PATH: process.env.PATH, ...options.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return new ServeProcess(child, dataDir)
}
