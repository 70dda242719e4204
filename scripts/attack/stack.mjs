// The processes of an attack: the simulator with its recorder, cwm, and the honest tenants.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chooseCores, freePorts, Process } from '../bench/processes.mjs'
import { keyHash, keyOf, listedAttackers } from './identities.mjs'
import { AttackedCwm } from './proxy.mjs'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const MIB = 1024 * 1024

export const honestKeys = { 'honest-a': 'honest-key-a-0123456789abcdef', 'honest-b': 'honest-key-b-0123456789abcdef' }

/** The two modes of cwm, which differ in how requests are identified and what may be shared. */
export const modes = {
  'any key': { isolation: 'session', isListed: false },
  'listed tenants': { isolation: 'user', isListed: true },
}

/** Short timeouts, so that clients who never finish do not prolong the run, and limits that an attack can reach. */
const flagsOf = (upstream, { isolation }, folder) => ({
  ...{ upstream: upstream.engineUrl, coordinator: upstream.coordinatorUrl, 'data-dir': folder, isolation },
  ...{
    'request-headers-timeout-ms': 2_000,
    'body-timeout-ms': 3_000,
    'client-stall-ms': 4_000,
    'keep-alive-ms': 15_000,
  },
  ...{
    'max-body-bytes': 32 * MIB,
    'queue-ms': 10_000,
    'tracking-bytes': 16 * MIB,
    'retain-bytes': 32 * MIB,
    'events-keep': 1_000,
  },
})

const tenantsFile = () => {
  const entry = (id, key, more = '') => `  - id: ${id}\n    keys: [{ name: main, sha256: ${keyHash(key)} }]\n${more}`
  const honest = Object.entries(honestKeys).map(([id, key]) => entry(id, key))
  const attackers = listedAttackers.map((id) => entry(id, keyOf(id)))
  return `tenants:\n${[...honest, ...attackers, entry('small', keyOf('small'), '    max_windows: 0\n    max_sessions: 2\n')].join('')}`
}

export class Stack {
  #processes = []
  cwm
  upstream
  honest
  engine

  /** `main`: the built `cli/main.js`; `sim`: the built simulator. `isPinned`: cwm gets its own core if there are two. */
  static async start({ main, sim, mode, folder, isPinned }) {
    const stack = new Stack()
    try {
      await stack.#start(main, sim, modes[mode], folder, isPinned ? chooseCores() : undefined)
    } catch (error) {
      await stack.stop()
      throw error
    }
    return stack
  }

  async #start(main, sim, mode, folder, cores) {
    const child = (name, args, core) => {
      const started = new Process({
        ...{ command: process.execPath, args: [here(name), ...args], core, ipc: true },
        logFile: join(folder, `${name}.log`),
      })
      this.#processes.push(started)
      return started
    }
    this.upstream = child('upstream.mjs', [sim, mode.isolation], cores?.upstream)
    this.engine = await this.upstream.ask()
    const [port] = await freePorts(1)
    const flags = flagsOf(this.engine, mode, join(folder, 'data'))
    if (mode.isListed) {
      flags.config = join(folder, 'cwm.yaml')
      await writeFile(flags.config, tenantsFile())
    }
    this.cwm = await AttackedCwm.start({
      ...{ main, flags, port, core: cores?.proxy, logFile: join(folder, 'cwm.log') },
      env: { CWM_SECRET: 'a secret of the attack, not of anybody' },
    })
    const args = [this.cwm.url, this.engine.engineUrl, this.engine.model, JSON.stringify(honestKeys)]
    this.honest = child('honest-tenants.mjs', args, cores?.load)
  }

  /** Stops everything except cwm, whose exit the caller checks. */
  async stop() {
    await this.cwm?.stop()
    await Promise.all(this.#processes.map((one) => one.stop()))
  }
}
