// A real redis-server on a fixed port, which is killed by SIGKILL and started again on the same data.

import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts, Process } from '../bench/processes.mjs'

const START_MS = 20_000
const POLL_MS = 20

export class Redis {
  #args
  #logFile
  #process

  static async start(folder) {
    const redis = new Redis()
    const [port] = await freePorts(1)
    const data = join(folder, 'redis')
    await mkdir(data, { recursive: true })
    redis.port = port
    redis.url = `redis://127.0.0.1:${port}`
    redis.#logFile = join(folder, 'redis.log')
    // Written before each answer: what a killed process had confirmed is there again, because the system still has it.
    redis.#args = [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', data],
      ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec'],
    ]
    await redis.return()
    return redis
  }

  /** Starts it again after a kill. */
  async return() {
    this.#process = new Process({ command: 'redis-server', args: this.#args, logFile: this.#logFile })
    for (const end = performance.now() + START_MS; performance.now() < end; await sleep(POLL_MS)) {
      if (await isReady(this.port)) return
    }
    throw new Error(`redis-server did not start\n${this.#process.lastWords()}`)
  }

  kill() {
    return this.#process.kill()
  }

  async stop() {
    await this.#process?.stop()
  }
}

/** A server that is still reading its data answers LOADING. */
async function isReady(port) {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [answer] = await once(socket, 'data')
    return String(answer).startsWith('+PONG')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
