// An isolated environment for each agent under test: an empty home, none of the developer's settings, no network except loopback.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { within } from '../../support/deadline.ts'

/** Under load an agent takes some seconds to start; none takes a minute for a turn on the simulator. */
const TURN_MS = 240_000

/** Nothing listens there: a request that leaves the machine fails at once. */
const NOWHERE = 'http://127.0.0.1:9'

const quiet = {
  HTTP_PROXY: NOWHERE,
  HTTPS_PROXY: NOWHERE,
  http_proxy: NOWHERE,
  https_proxy: NOWHERE,
  // Without a locale, Java writes non-ASCII characters as question marks.
  LC_ALL: 'C.UTF-8',
  NO_PROXY: '127.0.0.1,localhost',
  no_proxy: '127.0.0.1,localhost',
  // Telemetry, updates and lists of models.
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  DISABLE_AUTOUPDATER: '1',
  DISABLE_TELEMETRY: '1',
  OPENCODE_DISABLE_AUTOUPDATE: '1',
  OPENCODE_DISABLE_MODELS_FETCH: '1',
  OPENCODE_DISABLE_LSP_DOWNLOAD: '1',
  OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
}

export interface Ran {
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The complete standard input. */
  readonly input?: string
  /** Whether any exit code is accepted; default false. */
  readonly mayFail?: boolean
}

export class AgentHome {
  readonly folder: string
  /** Where the agent works: an empty folder. */
  readonly work: string
  readonly #bin: string
  readonly #temporary: string

  private constructor(folder: string) {
    this.folder = folder
    this.work = join(folder, 'work')
    this.#bin = join(folder, 'bin')
    this.#temporary = join(folder, 'tmp')
  }

  static async create(): Promise<AgentHome> {
    const home = new AgentHome(await mkdtemp(join(tmpdir(), 'cwm-agent-')))
    await mkdir(home.work)
    await mkdir(home.#bin)
    await mkdir(home.#temporary)
    return home
  }

  /** Writes a file below the home. */
  async write(path: string, text: string): Promise<void> {
    const file = join(this.folder, path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, text)
  }

  /** Makes a program callable by a name. */
  async link(name: string, ...command: readonly string[]): Promise<void> {
    const file = join(this.#bin, name)
    await writeFile(file, `#!/bin/sh\nexec ${command.map((word) => `"${word}"`).join(' ')} "$@"\n`)
    await chmod(file, 0o755)
  }

  /** Runs a program. Throws with its output unless it succeeds, and kills it with its children after a timeout. */
  async run(
    program: string,
    words: readonly string[],
    { env = {}, input = '', mayFail = false }: RunOptions = {},
  ): Promise<Ran> {
    const path = `${this.#bin}${delimiter}${process.env.PATH ?? ''}`
    const child = spawn(program, words, {
      cwd: this.work,
      env: { PATH: path, HOME: this.folder, TMPDIR: this.#temporary, ...quiet, ...env },
      detached: true,
    })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text
    })
    child.stdin.on('error', () => {}).end(input)
    const label = `${program} ${words.join(' ')}`
    try {
      await within(`${label} ends`, once(child, 'close'), TURN_MS)
    } catch (error) {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      throw new Error(`${String(error)}\n${out}\n${err}`, { cause: error })
    }
    if (!mayFail && child.exitCode !== 0) throw new Error(`${label} ended with ${child.exitCode}:\n${out}\n${err}`)
    return { out, err }
  }

  dispose(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
