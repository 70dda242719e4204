// What happens in the proof, in this order. Each happening is an event for the oracle: see judge.mjs.

import { takeRound } from './rounds.mjs'

/** What a client sees if the store answered too late for its turn. */
const LATE = '503 store_unavailable'

export class Plan {
  events = []
  /** When a cwm did not reach its store, or an engine, although it ran: the machine was too busy. `{ cwm, at, end }` or `{ engine, at, end }`. */
  slow = []
  #stack
  #conversations
  #seed
  #say

  /** `say(line)` reports progress. */
  constructor({ stack, conversations, seed, say }) {
    this.#stack = stack
    this.#conversations = conversations
    this.#seed = seed
    this.#say = say
  }

  async run() {
    await this.#round('first turns')
    await this.#round('follow-ups')
    await this.#killProxy()
    await this.#killEngine()
    await this.#killRedis()
    await this.#addEngine()
    await this.#removeEngine()
    await this.#upgrade()
    this.slow.push(...(await this.#stack.unseenEngines(this.events)))
  }

  async #killProxy() {
    const [proxy] = this.#stack.proxies
    const event = await this.#during(`${proxy.name} killed`, { kind: 'cwm killed', cwm: proxy.name }, () =>
      proxy.kill(),
    )
    await proxy.return()
    event.back = Date.now()
    await this.#round(`${proxy.name} is back`)
  }

  async #killEngine() {
    const [, engine] = this.#stack.engines
    const killed = { kind: 'engine killed', engine: engine.name }
    const event = await this.#during(`${engine.name} killed`, killed, () => this.#stack.killEngine(engine))
    await this.#stack.sees(engine, 'down')
    await this.#round(`without ${engine.name}`)
    await this.#between(`${engine.name} back`, { kind: 'engine back', engine: engine.name }, () =>
      this.#bringBack(engine),
    )
    event.back = this.events.at(-1).settled
    await this.#round(`${engine.name} is back`)
  }

  /** Named sessions have a temporary lineage at each proxy meanwhile, so each stays with its proxy: what moves then is by hashing alone. */
  async #killRedis() {
    const named = { sticky: true, only: ({ named }) => named }
    const [, , engine] = this.#stack.engines
    const event = await this.#during('Redis killed', { kind: 'redis killed' }, () => this.#stack.redis.kill())
    event.back = Number.POSITIVE_INFINITY
    await this.#round('without Redis', named)
    const killed = { kind: 'engine killed', engine: engine.name }
    const gone = await this.#during(
      `${engine.name} killed, no Redis`,
      killed,
      () => this.#stack.killEngine(engine),
      named,
    )
    await this.#stack.sees(engine, 'down')
    await this.#round(`without Redis and ${engine.name}`, named)
    await this.#bringBack(engine)
    gone.back = Date.now()
    await this.#between('Redis back', { kind: 'redis back' }, async () => {
      await this.#stack.redis.return()
      await this.#stack.seesStore()
    })
    event.back = this.events.at(-1).settled
    await this.#round('Redis is back')
    await this.#round('follow-ups')
  }

  async #addEngine() {
    const { spare, engines } = this.#stack
    await this.#during(`${spare.name} added`, { kind: 'engine added', engine: spare.name }, async () => {
      engines.push(spare)
      await this.#stack.reload()
      await this.#stack.sees(spare, 'up', 'starting')
    })
    await this.#round(`with ${spare.name}`)
  }

  /** Of the settings, while it is in use. */
  async #removeEngine() {
    const { engines } = this.#stack
    const [engine] = engines
    // The engines that died before have left their sessions with the others, so this one may have more than its share.
    const left = { kind: 'engine left', engine: engine.name, isUneven: true }
    await this.#during(`${engine.name} removed`, left, async () => {
      engines.shift()
      await this.#stack.reload()
      await this.#stack.sees(engine, undefined)
    })
    await this.#round(`without ${engine.name}`)
  }

  /** A rolling upgrade: each engine in turn is drained, restarted with an empty memory, and resumed. Half of the conversations continue meanwhile. */
  async #upgrade() {
    const half = { only: ({ id }) => id % 2 === 0 }
    for (const engine of this.#stack.engines) {
      // What moved away from the engines before is on the others, so the next ones have more than their share.
      const left = { kind: 'engine left', engine: engine.name, isUneven: true }
      await this.#during(`${engine.name} drained`, left, () => this.#drain(engine), half)
      await this.#round(`without ${engine.name}`, half)
      await this.#between(`${engine.name} restarted`, { kind: 'engine back', engine: engine.name }, async () => {
        await this.#stack.killEngine(engine)
        await this.#bringBack(engine)
        const [proxy] = this.#stack.proxies
        await proxy.command('engines', 'resume', engine.url)
        await this.#stack.sees(engine, 'up', 'starting')
      })
    }
    await this.#round('upgraded')
  }

  async #drain(engine) {
    const [proxy] = this.#stack.proxies
    await proxy.command('engines', 'drain', engine.url, '--wait')
    await this.#stack.sees(engine, 'draining')
  }

  async #bringBack(engine) {
    await this.#stack.returnEngine(engine)
    await this.#stack.sees(engine, 'up', 'starting', 'draining')
  }

  async #round(name, options = {}) {
    const before = this.#conversations.attempts.length
    const errorsBefore = await this.#storeErrors()
    const at = Date.now()
    await takeRound(this.#conversations, { seed: this.#seed++, ...options })
    const end = Date.now()
    await this.#stack.readLogs()
    const attempts = this.#conversations.attempts.slice(before)
    const late = new Set(attempts.filter(({ degraded, failure }) => degraded || failure === LATE).map(({ cwm }) => cwm))
    for (const [cwm, errors] of await this.#storeErrors())
      if (late.has(cwm) || errors > (errorsBefore.get(cwm) ?? 0)) this.slow.push({ cwm, at, end })
    const failed = attempts.filter(({ ok }) => !ok).length
    const seconds = (end - at) / 1000
    this.#say(
      `${name.padEnd(34)} ${attempts.length - failed} turns, ${failed} failed attempts, ${seconds.toFixed(1)} s`,
    )
  }

  async #storeErrors() {
    const up = this.#stack.proxies.filter(({ isUp }) => isUp)
    return new Map(await Promise.all(up.map(async (proxy) => [proxy.name, await proxy.storeErrors()])))
  }

  /** A round in whose middle `work` is done: from its start to its end, the event is happening. */
  async #during(name, event, work, options = {}) {
    await this.#round(name, { ...options, middle: () => this.#between(name, event, work) })
    return this.events.at(-1)
  }

  async #between(name, event, work) {
    const happening = { name, ...event, at: Date.now(), engines: this.#stack.engines.length }
    this.events.push(happening)
    await work()
    happening.settled = Date.now()
  }
}
