// The processes of one attack: upstream, cwm with its defaults on its own core, honest tenant, and attacker.

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chooseCores, freePorts, Process } from '../../bench/processes.mjs'

const START_MS = 30_000
const here = (name) => fileURLToPath(new URL(name, import.meta.url))

export class Stack {
  #processes = []
  upstream
  cwm
  honest
  attacker
  /** Whether cwm is still running. */
  isAlive = true

  /** `main`: the built `cli/main.js`; `sim`: the built simulator; `folder`: for data and logs. */
  static async start({ main, sim, attack, folder, isPinned }) {
    const stack = new Stack()
    try {
      await stack.#start(main, sim, attack, folder, isPinned ? chooseCores() : undefined)
    } catch (error) {
      await stack.stop()
      throw error
    }
    return stack
  }

  async #start(main, sim, attack, folder, cores) {
    const child = (name, args, core) => {
      const command = { command: process.execPath, args: [here(name), ...args], core, ipc: true }
      const started = new Process({ ...command, logFile: join(folder, `${name}.log`) })
      this.#processes.push(started)
      return started
    }
    this.upstream = child('upstream.mjs', [sim], cores?.upstream)
    const { url, coordinatorUrl, model } = await this.upstream.ask()
    const [port] = await freePorts(1)
    this.url = `http://127.0.0.1:${port}`
    // Everything else is as by default. The trusted proxy lets attacker and honest tenant have addresses of their own.
    const flags = { upstream: url, coordinator: coordinatorUrl, 'data-dir': join(folder, 'data'), port }
    const all = Object.entries({ ...flags, 'trusted-proxies': '127.0.0.1', ...attack.flags })
    this.cwm = new Process({
      ...{ command: process.execPath, core: cores?.proxy, logFile: join(folder, 'cwm.log') },
      args: [main, 'serve', ...all.flatMap(([name, value]) => [`--${name}`, String(value)])],
      env: { CWM_SECRET: 'a secret of the attack, not of anybody' },
    })
    void this.cwm.ended.then(() => {
      this.isAlive = false
    })
    await this.cwm.answers(`${this.url}/cwm/readyz`, START_MS)
    this.honest = child('honest.mjs', [port, model], cores?.load)
    this.attacker = child('attacker.mjs', [port, model, attack.name], cores?.load)
  }

  /** The metrics in Prometheus' text format; empty if cwm does not answer. */
  async metrics() {
    const answer = await fetch(`${this.url}/cwm/metrics`).catch(() => undefined)
    return (await answer?.text()) ?? ''
  }

  async stop() {
    await this.cwm?.stop()
    await Promise.all(this.#processes.map((one) => one.stop()))
  }
}
