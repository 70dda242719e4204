// The load: new sessions at a steady rate, along with a few large ones, slow readers, windows, and outages of the upstream.

import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { randomFrom } from '../random.mjs'
import { bigPrompt, planAt, slowReader } from './turn-plans.mjs'
import { Turns } from './turns.mjs'
import { WindowRound } from './windows.mjs'

const TICK_MS = 20
/** Possible numbers of turns, drawn for each session. Many end with their first turn. */
const TURNS = [1, 1, 1, 1, 1, 2, 2, 2, 3, 3]
/** Maximum concurrent sessions. More wait, so that the backlog of a slow machine does not affect the measurement. */
const MAX_AT_ONCE = 500
const BIG_EVERY_MS = 2_000
const SLOW_EVERY_MS = 2_000
const WINDOW_EVERY_MS = 2_000
const AWAY_EVERY_MS = 30_000
const AWAY_FIRST_MS = 20_000
const AWAY_MS = 1_000

export class Load {
  #options
  #agent = new Agent({ keepAlive: true })
  #turns
  #windows
  #random
  #stopping = new AbortController()
  #active = new Set()
  #lanes = []
  /** Number of sessions started, without the special ones. */
  sessions = 0

  /**
   * `perSecond`: rate of new sessions. `aftermathMs`: how long an outage may cause failures after its end. `whileAway`: called
   * during each outage, once all requests in flight have failed.
   */
  constructor(options) {
    const { url, upstream, tally, seed } = options
    this.#options = options
    this.#turns = new Turns({ url, upstream, agent: this.#agent, tally })
    this.#windows = new WindowRound({ url, agent: this.#agent })
    this.#random = randomFrom(seed)
  }

  get active() {
    return this.#active.size
  }

  start() {
    const { upstream, aftermathMs, whileAway } = this.#options
    this.#lanes = [
      this.#arrivals(),
      this.#every(BIG_EVERY_MS, 0, (n) => {
        this.#begin(this.#turns.session(`big-${n}`, { named: n % 2 === 0, big: true }, [bigPrompt, bigPrompt]))
      }),
      this.#every(SLOW_EVERY_MS, 0, (n) => {
        this.#begin(this.#turns.session(`slow-${n}`, { named: n % 2 === 0 }, [slowReader]))
      }),
      this.#every(WINDOW_EVERY_MS, 0, (n) => this.#window(`window-${n}`)),
      this.#every(AWAY_EVERY_MS, AWAY_FIRST_MS, () => upstream.beAway(AWAY_MS, aftermathMs, whileAway)),
    ]
  }

  /** Starts no more sessions. Resolves when the current ones have ended and no connection to the proxy is open. */
  async stop() {
    this.#stopping.abort()
    await Promise.all(this.#lanes)
    await Promise.all(this.#active)
    this.#agent.destroy()
  }

  async #arrivals() {
    const { perSecond } = this.#options
    const began = performance.now()
    while (await this.#sleep(TICK_MS)) {
      const due = ((performance.now() - began) / 1000) * perSecond
      while (this.sessions < due && this.active < MAX_AT_ONCE) this.#begin(this.#session(`soak-${this.sessions++}`))
    }
  }

  #session(id) {
    const random = this.#random
    const plans = Array.from({ length: TURNS[Math.floor(random() * TURNS.length)] }, () => planAt(random()))
    return this.#turns.session(
      id,
      { named: random() < 0.5, asksUsage: random() < 0.3, thinkMs: Math.floor(random() * 300) },
      plans,
    )
  }

  async #window(id) {
    const { upstream, tally } = this.#options
    const from = performance.now()
    const fault = await this.#windows.run(id).then(
      () => undefined,
      (error) => error.message,
    )
    const disturbed = upstream.wasAway(from, performance.now())
    tally.count(disturbed ? 'window while the upstream was away' : 'window', disturbed ? undefined : fault)
  }

  #begin(session) {
    const over = session.finally(() => this.#active.delete(over))
    this.#active.add(over)
  }

  async #every(intervalMs, firstMs, work) {
    await this.#sleep(firstMs)
    for (let n = 0; !this.#stopping.signal.aborted; n++) {
      await work(n)
      await this.#sleep(intervalMs)
    }
  }

  /** Waits for the next event; false if the load should stop. */
  async #sleep(ms) {
    const { signal } = this.#stopping
    await sleep(ms, undefined, { signal }).catch(() => {})
    return !signal.aborted
  }
}
