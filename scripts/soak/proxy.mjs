// The proxy under load: `cwm serve` as a process, measured by the operating system (Linux) and by its metrics.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { Agent } from 'node:http'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { exchange } from './exchange.mjs'

const START_MS = 20_000
/** Ticks per second in /proc/PID/stat: a hundred on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** V8 returns pages to the system in the background, a little after a collection. */
const GIVE_BACK_MS = 200
const COLLECT = new URL('force-gc.mjs', import.meta.url).href

export class ProxyProcess {
  // One connection for all metrics requests, because a busy Node accepts only one new connection per iteration of its event loop.
  #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  #child
  #exit

  /** `settings`: flags of `cwm serve`. `logFile`: where its log goes. `nodeFlags`: flags for Node. */
  static async start(settings, logFile, nodeFlags) {
    const proxy = new ProxyProcess()
    const port = await freePort()
    proxy.url = `http://127.0.0.1:${port}`
    const flags = Object.entries({ ...settings, port }).flatMap(([name, value]) => [`--${name}`, String(value)])
    const log = openSync(logFile, 'a')
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CWM_')))
    const args = ['--expose-gc', '--import', COLLECT, ...nodeFlags, 'dist/cli/main.js', 'serve', ...flags]
    proxy.#child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', log] })
    closeSync(log)
    proxy.#exit = once(proxy.#child, 'exit')
    await proxy.#ready(logFile)
    return proxy
  }

  /** Resolves when the process ends, with its code or signal. */
  get ended() {
    return this.#exit.then(([code, signal]) => signal ?? code)
  }

  /** Like `look`, but after a full garbage collection. The remaining resident memory is in use, or not returned by the allocator. */
  async lookCollected() {
    // Measured before the collection, which blocks the event loop.
    const { lagMs } = await this.look()
    this.#child.kill('SIGUSR2')
    // The first response may be sent before the signal is handled, in the same iteration of the event loop. The second cannot.
    await this.#metrics()
    await this.#metrics()
    await sleep(GIVE_BACK_MS)
    return { ...(await this.look()), lagMs, collected: true }
  }

  /** Memory, sockets, CPU seconds, and metrics. Throws if the process is gone. */
  async look() {
    const { pid } = this.#child
    const [status, stat, sockets, metrics] = await Promise.all([
      readFile(`/proc/${pid}/status`, 'utf8'),
      readFile(`/proc/${pid}/stat`, 'utf8'),
      socketsOf(pid),
      this.#metrics(),
    ])
    const text = metrics.bytes.toString()
    const metric = (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
    // utime and stime, counted from after the command name, which may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const bytes = (field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024
    return {
      rssBytes: bytes('VmRSS'),
      fileBytes: bytes('RssFile'),
      heapBytes: metric('nodejs_heap_size_used_bytes'),
      externalBytes: metric('nodejs_external_memory_bytes'),
      sockets,
      inFlight: metric('cwm_requests_in_flight'),
      lagMs: metric('nodejs_eventloop_lag_max_seconds') * 1000,
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    }
  }

  async stop() {
    this.#agent.destroy()
    this.#child.kill('SIGTERM')
    return this.ended
  }

  #metrics() {
    return exchange(`${this.url}/cwm/metrics`, { agent: this.#agent, method: 'GET' })
  }

  async #ready(logFile) {
    let ended
    this.ended.then((code) => (ended = code))
    for (const end = performance.now() + START_MS; performance.now() < end && ended === undefined; await sleep(50)) {
      if ((await this.#metrics()).status === 200) return
    }
    this.#child.kill('SIGKILL')
    throw new Error(`cwm did not start:\n${await readFile(logFile, 'utf8')}`)
  }
}

async function socketsOf(pid) {
  const folder = `/proc/${pid}/fd`
  const links = await Promise.all((await readdir(folder)).map((fd) => readlink(`${folder}/${fd}`).catch(() => '')))
  return links.filter((link) => link.startsWith('socket:')).length
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
