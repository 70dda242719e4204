// A real redis-server on a free port, with its own folder, for the tests of the Redis store. If it is not installed, these
// tests are skipped with an install command; on CI they fail.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { within } from './deadline.ts'

const installed = spawnSync('redis-server', ['--version']).status === 0

/** Whether to skip tests of Redis: it is not installed, and this is not CI. */
export const skipsRedis = !installed && process.env.CI === undefined
if (skipsRedis) console.warn('the tests of the Redis store are skipped: apt-get install redis-server')

/** Settings for tests that kill the server and check what it kept. They are not the default, because with them a write may wait for a flush. */
export const KEEPS_EVERY_WRITE = ['--appendfsync', 'always'] as const

export class RedisServer {
  readonly port: number
  readonly #folder: string
  readonly #settings: readonly string[]
  #process: ChildProcess | undefined

  private constructor(port: number, settings: readonly string[]) {
    this.port = port
    this.#settings = settings
    this.#folder = mkdtempSync(join(tmpdir(), 'cwm-redis-'))
  }

  /** Starts a server that keeps a log of its writes, flushed every second. `settings`: as on its command line, e.g. `--requirepass`, `x`. */
  static async start(...settings: readonly string[]): Promise<RedisServer> {
    if (!installed) throw new Error('redis-server is not installed: apt-get install redis-server')
    const server = new RedisServer(await freePort(), settings)
    await server.startAgain()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** On the same port and with the same data. */
  async startAgain(): Promise<void> {
    const own = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder, '--save', '']
    this.#process = spawn(
      'redis-server',
      [...own, '--appendonly', 'yes', '--appendfsync', 'everysec', ...this.#settings],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    const { stdout } = this.#process
    await within(
      'redis-server accepts connections',
      (async () => {
        let said = ''
        for await (const bytes of stdout ?? []) {
          said += String(bytes)
          if (said.includes('Ready to accept connections')) break
        }
      })(),
    )
    stdout?.resume()
  }

  /** Suspends the server: it stays connected and answers nothing, like a swapping machine or a network that drops everything. */
  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  goOn(): void {
    this.#process?.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    const running = this.#process
    this.#process = undefined
    if (running === undefined) return
    running.kill('SIGKILL')
    await once(running, 'exit')
  }

  /** Stops the server and removes its data. */
  async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Sends one command on a new connection. */
  async send(command: string, ...words: readonly string[]): Promise<unknown> {
    const client = new Redis({ port: this.port, lazyConnect: true, enableReadyCheck: false, maxRetriesPerRequest: 0 })
    try {
      await client.connect()
      return await client.call(command, ...words)
    } finally {
      client.disconnect()
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}
