// The cwm under test: a process on a fixed port that is killed by SIGKILL and started again on the same data.

import { Agent, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { freePorts, Process } from '../bench/processes.mjs'

const START_MS = 60_000
const REQUEST_MS = 60_000
const KEY = 'lives-key-0123456789abcdef'

export class LivedCwm {
  restarts = 0
  #options
  #flags
  #process
  #agent
  #port

  /** `main`: the built `cli/main.js`; `folder`: for data and log; `flags`: of `cwm serve`, by name. */
  static async start({ main, folder, flags }) {
    const cwm = new LivedCwm()
    const [port] = await freePorts(1)
    cwm.#options = { main, logFile: join(folder, 'cwm.log') }
    cwm.#port = port
    cwm.#flags = {
      'data-dir': join(folder, 'data'),
      'log-level': 'warn',
      'reconcile-interval-ms': 5_000,
      ...flags,
      port,
    }
    await cwm.#start()
    return cwm
  }

  async #start() {
    const { main, logFile } = this.#options
    const args = Object.entries(this.#flags).flatMap(([name, value]) => [`--${name}`, String(value)])
    this.#agent = new Agent({ keepAlive: true })
    this.#process = new Process({
      ...{ command: process.execPath, args: [main, 'serve', ...args], logFile },
      env: { CWM_SECRET: 'a secret of the lives, not of anybody' },
    })
    await this.#process.answers(`http://127.0.0.1:${this.#port}/cwm/readyz`, START_MS)
  }

  /** Kills it and starts it again. */
  async restart() {
    this.restarts++
    this.#agent.destroy()
    await this.#process.kill()
    await this.#start()
  }

  async stop() {
    this.#agent?.destroy()
    await this.#process?.stop()
  }

  /** Resolves with `{ status, json }`. */
  request(method, path, json, headers = {}) {
    const body = json === undefined ? undefined : JSON.stringify(json)
    const typed = body === undefined ? {} : { 'content-type': 'application/json' }
    const options = {
      ...{ host: '127.0.0.1', port: this.#port, method, path, agent: this.#agent, timeout: REQUEST_MS },
      headers: { authorization: `Bearer ${KEY}`, ...typed, ...headers },
    }
    return new Promise((resolve, reject) => {
      const request = httpRequest(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part) => (text += part))
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode, json: parsed(text) }))
      })
      request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${path} in ${REQUEST_MS} ms`)))
      request.on('error', reject)
      request.end(body)
    })
  }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return { text }
  }
}
