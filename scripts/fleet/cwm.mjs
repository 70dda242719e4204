// One cwm of the fleet: `cwm serve` with a settings file, on a fixed port, killed by SIGKILL and started again.

import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePorts, Process } from '../bench/processes.mjs'

const run = promisify(execFile)

const START_MS = 60_000
const SETTLE_MS = 60_000
const POLL_MS = 50

export const OPERATOR_KEY = 'operator-key-of-the-fleet-0123456789'

export class CwmProcess {
  #options
  #process
  isUp = false

  /** `main`: the built `cli/main.js`; `settings`: of its file, `upstream` among them. */
  static async start({ main, folder, name, settings }) {
    const proxy = new CwmProcess()
    const [port] = await freePorts(1)
    proxy.name = name
    proxy.port = port
    proxy.url = `http://127.0.0.1:${port}`
    const own = join(folder, name)
    await mkdir(own, { recursive: true })
    const rest = { port, operator_key: OPERATOR_KEY, data_dir: join(own, 'data'), log_level: 'warn' }
    proxy.#options = {
      main,
      logFile: join(own, 'cwm.log'),
      file: join(own, 'cwm.yaml'),
      settings: { ...settings, ...rest },
    }
    await proxy.return()
    return proxy
  }

  async #write() {
    // JSON is YAML.
    await writeFile(this.#options.file, JSON.stringify(this.#options.settings))
  }

  /** Starts it, again after a kill. */
  async return() {
    const { main, logFile, file } = this.#options
    await this.#write()
    this.#process = new Process({
      ...{ command: process.execPath, args: [main, 'serve', '--config', file], logFile },
      // Fixed, so that salts and affinity keys are the same in each run that has the same lineages.
      env: { CWM_SECRET: 'a secret of the fleet, not of anybody' },
    })
    await this.#process.answers(`${this.url}/cwm/readyz`, START_MS)
    this.isUp = true
  }

  async kill() {
    this.isUp = false
    await this.#process.kill()
  }

  async stop() {
    await this.#process?.stop()
  }

  /** Changes settings in the file, and reloads it. */
  async reload(settings) {
    Object.assign(this.#options.settings, settings)
    await this.#write()
    return await this.rest('POST', '/reload')
  }

  /** How many calls to its store failed since it started. */
  async storeErrors() {
    const answer = await fetch(`${this.url}/cwm/metrics`, { headers: { authorization: `Bearer ${OPERATOR_KEY}` } })
    const lines = [...(await answer.text()).matchAll(/^cwm_store_errors_total(?:\{.*\})? (\S+)$/gm)]
    return lines.reduce((sum, [, count]) => sum + Number(count), 0)
  }

  /** When it took an engine for dead, by its log: `{ engine, at }`. */
  async engineDowns() {
    const lines = (await readFile(this.#options.logFile, 'utf8')).split('\n').filter((line) => line.startsWith('{'))
    const downs = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'the engine is down')
    return downs.map(({ engine, time }) => ({ engine, at: Date.parse(time) }))
  }

  /** Runs a command of `cwm` against it, as its operator. Rejects unless it ends with 0. */
  async command(...words) {
    const env = { ...process.env, CWM_URL: this.url, CWM_API_KEY: OPERATOR_KEY }
    await run(process.execPath, [this.#options.main, ...words], { env })
  }

  /** A REST call of the operator. Throws unless it succeeds. */
  async rest(method, path, body) {
    const answer = await fetch(`${this.url}/cwm/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${OPERATOR_KEY}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path} at ${this.name}: ${answer.status} ${text}`)
    return JSON.parse(text)
  }

  /** Resolves when `isSo(await look(this))`. */
  async settles(what, look, isSo) {
    let seen
    for (const end = performance.now() + SETTLE_MS; performance.now() < end; await sleep(POLL_MS)) {
      seen = await look(this).catch((error) => error.message)
      if (isSo(seen)) return
    }
    throw new Error(`${this.name}: ${what} did not come about: ${JSON.stringify(seen)}`)
  }
}
