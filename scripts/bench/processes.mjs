// Processes of the benchmark: starts them on their cores, waits for them, measures and stops them.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { allowedCores, memoryOf, treeOf } from './system.mjs'

const POLL_MS = 50
const STOP_MS = 10_000
const LAST_LINES = 20

/** The path of a file in this folder. */
export const here = (name) => fileURLToPath(new URL(name, import.meta.url))

/** Cores for the measured proxy, the mock upstream and the load client; undefined: no pinning. */
export function chooseCores() {
  const cores = allowedCores()
  if (cores === undefined || cores.length < 2 || spawnSync('taskset', ['--version']).error !== undefined)
    return undefined
  const [upstream, load = upstream] = cores.slice(0, -1)
  return { proxy: cores.at(-1), upstream, load }
}

export class Process {
  #child
  #logFile
  #ended
  #end

  /** `core` undefined: no pinning. `logFile` receives standard error and output. `ipc`: allows messages. */
  constructor({ command, args, core, logFile, env = {}, ipc = false }) {
    const line = core === undefined ? [command, ...args] : ['taskset', '-c', String(core), command, ...args]
    const log = openSync(logFile, 'a')
    const stdio = ['ignore', log, log, ...(ipc ? ['ipc'] : [])]
    // The user's own cwm settings must not apply here.
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CWM_')))
    this.#logFile = logFile
    this.#child = spawn(line[0], line.slice(1), { stdio, env: { ...own, ...env } })
    closeSync(log)
    this.#end = new Promise((resolve) => {
      const end = (how) => {
        this.#ended = how
        resolve(how)
      }
      this.#child.once('error', (error) => end(error.message))
      this.#child.once('exit', (code, signal) => end(`ended with ${signal ?? code}`))
    })
  }

  /** Resolves with a description of how it ended, once it has. */
  get ended() {
    return this.#end
  }

  /** The process and its descendants. */
  get pids() {
    return treeOf(this.#child.pid)
  }

  get memory() {
    return memoryOf(this.pids)
  }

  /** Resolves when `url` answers 200. Throws if it does not within `ms`, or if the process ends. */
  async answers(url, ms) {
    for (
      const end = performance.now() + ms;
      performance.now() < end && this.#ended === undefined;
      await sleep(POLL_MS)
    ) {
      const answer = await fetch(url, { signal: AbortSignal.timeout(ms) }).catch(() => undefined)
      await answer?.arrayBuffer()
      if (answer?.status === 200) return
    }
    throw new Error(`${this.#ended ?? `no answer in ${ms / 1000} s`}\n${this.lastWords()}`)
  }

  /** Sends a message and resolves with the next one received. Throws if the process ends first. */
  async ask(message) {
    if (message !== undefined) this.#child.send(message)
    const answer = await Promise.race([once(this.#child, 'message'), this.#end])
    if (typeof answer === 'string') throw new Error(`${answer}\n${this.lastWords()}`)
    return answer[0]
  }

  /** Stops it, by SIGKILL if it takes longer than `ms`. Resolves with a description of how it ended. */
  async stop(ms = STOP_MS) {
    if (this.#ended === undefined) this.#child.kill('SIGTERM')
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), ms)
    const how = await this.#end
    clearTimeout(kill)
    return how
  }

  /** Kills it by SIGKILL. Resolves with a description of how it ended. */
  async kill() {
    if (this.#ended === undefined) this.#child.kill('SIGKILL')
    return await this.#end
  }

  lastWords() {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n')
  }
}

/** Distinct unused loopback ports: all are held before the first is released. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
