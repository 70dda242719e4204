// The built proxy, started as users do: `node dist/cli/main.js serve …`, a process that can be stopped, killed, and restarted.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { coordinatorUrl, engineUrl, eventually, lmcacheUrl } from './stack.ts'

export const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
const READY_MS = 20_000

export interface CwmOptions {
  readonly upstream?: string
  readonly coordinator?: string
  readonly lmcache?: string
  /** Settings as YAML, instead of the addresses above: a list of engines has no flag for all that it says. */
  readonly config?: string
  /** Data directory of an earlier process. By default a new one is created, and removed by `dispose`. */
  readonly dataDir?: string
  /** Further flags, by name. */
  readonly flags?: Readonly<Record<`--${string}`, string>>
}

/** A window as REST shows it, with the fields that tests read. */
export interface ShownWindow {
  readonly name: string
  readonly state: 'pending' | 'freezing' | 'frozen' | 'failed'
  readonly reason?: string
  readonly receipt?: FreezeReceipt
}

export interface FreezeReceipt {
  readonly durability: string
  readonly tokens: number
  readonly chunks: number
  readonly restorable_tokens: number
  readonly pinned: boolean
  readonly tiers: { readonly l1: number | null; readonly l2: number | null }
  readonly ms: Readonly<Record<string, number>>
  readonly warnings: readonly string[]
}

export interface ThawReceipt {
  readonly tokens: number
  readonly restored_tokens: number | null
  readonly recomputed_tokens: number | null
  readonly tiers_before: { readonly total: number; readonly l1: number | null; readonly l2: number | null }
  readonly ms: Readonly<Record<string, number>>
  readonly drift: boolean
  readonly warnings: readonly string[]
}

export interface ShownSession {
  readonly id: string
  readonly named: boolean
  readonly base_window?: string
  readonly turns: number
  readonly thaw?: ThawReceipt
}

/** The default key of tests. */
export const KEY = 'key-of-the-tests'

export class Cwm {
  readonly url: string
  readonly dataDir: string
  readonly #child: ChildProcess
  readonly #output: string[]

  constructor(url: string, dataDir: string, child: ChildProcess, output: string[]) {
    this.url = url
    this.dataDir = dataDir
    this.#child = child
    this.#output = output
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output.join('')
  }

  /** One call of `/cwm/v1/…`. */
  async rest<T>(method: string, path: string, body?: unknown, key = KEY): Promise<{ status: number; body: T }> {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) }
    const answer = await fetch(`${this.url}/cwm/v1${path}`, init)
    return { status: answer.status, body: (await answer.json()) as T }
  }

  /** The session as REST shows it. */
  async session(id: string): Promise<ShownSession> {
    return (await this.rest<ShownSession>('GET', `/sessions/${id}`)).body
  }

  /** The receipt of the last thaw into a session. Throws when there is none. */
  async thawOf(id: string): Promise<ThawReceipt> {
    const { thaw } = await this.session(id)
    if (thaw === undefined) throw new Error(`session ${id} has no receipt of a thaw`)
    return thaw
  }

  /** The window, once it is neither pending nor being frozen. */
  async settled(name: string): Promise<ShownWindow> {
    return await eventually(
      `window ${name} is settled`,
      async () => (await this.rest<ShownWindow>('GET', `/windows/${name}?wait_ms=20000`)).body,
      ({ state }) => state === 'frozen' || state === 'failed',
      { deadlineMs: 60_000 },
    )
  }

  /** The receipt of a window, which must become frozen. */
  async frozen(name: string): Promise<FreezeReceipt> {
    const window = await this.settled(name)
    if (window.state !== 'frozen' || window.receipt === undefined) throw new Error(JSON.stringify(window))
    return window.receipt
  }

  /** Stops it gracefully. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Kills it with kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Stops it and removes its data. */
  async dispose(): Promise<void> {
    await this.stop()
    await rm(this.dataDir, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill(signal)
    await exit
  }
}

/** Starts cwm on a free port, by default with the real engine, and waits until it listens. */
export async function startCwm(options: CwmOptions = {}): Promise<Cwm> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'cwm-engine-test-')))
  const flags = {
    ...(await addresses(options, dataDir)),
    '--data-dir': dataDir,
    '--port': '0',
    '--log-format': 'text',
    ...options.flags,
  }
  const child = spawn(process.execPath, [main, 'serve', ...Object.entries(flags).flat()], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // The developer's own settings must not reach the process under test.
    env: { PATH: process.env.PATH, HOME: process.env.HOME },
  })
  const output: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => output.push(text))
  const ready = () => /^ready\s+(http:\S+)\/v1/m.exec(output.join(''))?.[1]
  const url = await eventually(
    'cwm listens',
    () => {
      if (child.exitCode !== null) throw new Error(`cwm ended with ${child.exitCode}: ${output.join('')}`)
      return Promise.resolve(ready())
    },
    (found) => found !== undefined,
    { deadlineMs: READY_MS, everyMs: 20 },
  )
  return new Cwm(url ?? '', dataDir, child, output)
}

async function addresses(options: CwmOptions, dataDir: string): Promise<Record<string, string>> {
  if (options.config === undefined) {
    return {
      '--upstream': options.upstream ?? engineUrl,
      '--coordinator': options.coordinator ?? coordinatorUrl,
      '--lmcache': options.lmcache ?? lmcacheUrl,
    }
  }
  const file = join(dataDir, 'cwm.yaml')
  await writeFile(file, options.config)
  return { '--config': file }
}
