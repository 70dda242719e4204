// Everything that runs in the proof: Redis, the engines, and the proxies, each of which can be killed and started again.

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Process } from '../bench/processes.mjs'
import { CwmProcess } from './cwm.mjs'
import { Redis } from './redis.mjs'

/** Short, so that a run does not wait for it, but not so short that a busy machine misses two checks in a row. */
const HEALTH = { engine_health_interval_ms: 2_000, engine_slow_start_ms: 1_000 }
/** How long an engine that was not seen in time is away from its sessions. */
const UNSEEN_MS = 10_000

export class Stack {
  proxies = []
  /** What the engines logged so far. */
  arrivals = []
  /** The engines of the settings; `spare` is started, and added later. */
  engines
  spare
  #started = []
  #engineProcess
  #coordinatorUrl

  /** `dist`: the build; `folder`: for data and logs; `engines` and `proxies`: how many. If it fails, `stop` ends what runs. */
  async start({ dist, folder, engines, proxies }) {
    this.redis = await Redis.start(folder)
    const file = fileURLToPath(new URL('engines.mjs', import.meta.url))
    const args = [file, join(dist, 'sim/index.js'), String(engines + 1)]
    this.#engineProcess = new Process({
      ...{ command: process.execPath, args, ipc: true, logFile: join(folder, 'engines.log') },
    })
    const started = await this.#engineProcess.ask()
    this.model = started.model
    this.#coordinatorUrl = started.coordinatorUrl
    this.engines = started.engines.slice(0, engines)
    this.spare = started.engines[engines]
    this.#started = started.engines
    const settings = { store: this.redis.url, coordinator: this.#coordinatorUrl, ...HEALTH, ...this.upstream() }
    const main = join(dist, 'cli/main.js')
    for (let n = 1; n <= proxies; n++)
      this.proxies.push(await CwmProcess.start({ main, folder, name: `cwm-${n}`, settings }))
  }

  /** The setting `upstream` for the present engines. */
  upstream() {
    return { upstream: this.engines.map(({ url, instanceId }) => ({ url, lmcache_instance: instanceId })) }
  }

  /** Kills an engine and its LMCache server: what both had in memory is gone. */
  killEngine({ name }) {
    return this.#ask({ want: 'kill', engine: name })
  }

  returnEngine({ name }) {
    return this.#ask({ want: 'return', engine: name })
  }

  /** Reads the engines' logs into `arrivals`. */
  async readLogs() {
    for (const arrival of await this.#ask({ want: 'arrivals' })) this.arrivals.push(arrival)
  }

  async #ask(message) {
    return (await this.#engineProcess.ask(message)).value
  }

  /** Resolves when each proxy that runs sees the engine in one of these states, or not at all if `states` has `undefined`. */
  async sees({ url }, ...states) {
    const look = async (proxy) => (await proxy.rest('GET', '/engines')).data.find(({ id }) => id === url)?.state
    await this.#each((proxy) => proxy.settles(`${url} ${states.join(' or ')}`, look, (state) => states.includes(state)))
  }

  /** When a proxy took an engine for dead that was not killed: `{ engine, at, end }`. */
  async unseenEngines(events) {
    const names = new Map(this.#started.map(({ name, url }) => [url, name]))
    const downs = (await Promise.all(this.proxies.map((proxy) => proxy.engineDowns()))).flat()
    return downs
      .map(({ engine, at }) => ({ engine: names.get(engine), at: at - UNSEEN_MS, end: at + UNSEEN_MS }))
      .filter(({ engine, end }) => !events.some((event) => event.engine === engine && isAwayAt(event, end - UNSEEN_MS)))
  }

  /** Resolves when each proxy reaches its store. */
  async seesStore() {
    const look = async (proxy) => (await proxy.rest('GET', '/health')).store.ok
    await this.#each((proxy) => proxy.settles('its store', look, (ok) => ok === true))
  }

  /** Reloads the settings of each proxy after a change of `engines`. */
  async reload() {
    await this.#each((proxy) => proxy.reload(this.upstream()))
  }

  async #each(work) {
    await Promise.all(this.proxies.filter(({ isUp }) => isUp).map(work))
  }

  async stop() {
    await Promise.all(this.proxies.map((proxy) => proxy.stop()))
    await this.#engineProcess?.stop()
    await this.redis?.stop()
  }
}

/** From its kill until a while after its return, when the last proxy has noticed both. */
const isAwayAt = ({ at, settled, back }, time) => time >= at && time <= (back ?? settled) + UNSEEN_MS
