// Processes of the benchmark: started on a core of their own, waited for, asked for what they use, ended.

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

/** A file beside this one. */
export const here = (name) => fileURLToPath(new URL(name, import.meta.url))

/** Cores for the proxy under test, the mock upstream and the load client; undefined: nothing is pinned. */
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

  /** `core` undefined: anywhere. Standard error and output go to `logFile`. `ipc`: to talk to it by messages. */
  constructor({ command, args, core, logFile, env = {}, ipc = false }) {
    const words = core === undefined ? [command, ...args] : ['taskset', '-c', String(core), command, ...args]
    const log = openSync(logFile, 'a')
    const stdio = ['ignore', log, log, ...(ipc ? ['ipc'] : [])]
    // What is set for the user's own cwm is not for this one.
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CWM_')))
    this.#logFile = logFile
    this.#child = spawn(words[0], words.slice(1), { stdio, env: { ...own, ...env } })
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

  /** Resolves with the words for how it ended, once it has. */
  get ended() {
    return this.#end
  }

  /** The process and those that it started. */
  get pids() {
    return treeOf(this.#child.pid)
  }

  get memory() {
    return memoryOf(this.pids)
  }

  /** Resolves when `url` answers 200. Throws when it does not within `ms`, or the process ends. */
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

  /** Sends a message and resolves with the next one that comes. Throws when the process ends before. */
  async ask(message) {
    if (message !== undefined) this.#child.send(message)
    const answer = await Promise.race([once(this.#child, 'message'), this.#end])
    if (typeof answer === 'string') throw new Error(`${answer}\n${this.lastWords()}`)
    return answer[0]
  }

  /** Ends it, by force where it takes too long. Resolves with the words for how it ended. */
  async stop() {
    if (this.#ended === undefined) this.#child.kill('SIGTERM')
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    const how = await this.#end
    clearTimeout(kill)
    return how
  }

  lastWords() {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n')
  }
}

/** Ports of loopback that nothing listens on, no two the same: all are held before the first is let go of. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
