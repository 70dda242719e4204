// Results from the cells of a run: one value per round and field, their medians, and ratios within a round.

import { STREAM_EVENTS } from './answers.mjs'
import { isStream, scenarios } from './scenarios.mjs'
import { median, ratiosOf } from './stats.mjs'

/** With fewer answers per cell, a p99 would describe a single answer. */
const ENOUGH_FOR_P99 = 100

const fields = [
  ...['perSecond', 'eventsPerSecond', 'p50', 'p99', 'ttftP50', 'ttftP99', 'cpu'],
  ...['proxyShare', 'upstreamShare', 'loadShare'],
]

/**
 * The figures of one cell: requests and events per second; latency in milliseconds; the proxy's CPU in microseconds per request, or per
 * event of a stream; the core shares of the proxy, the mock upstream and the load client.
 */
function figuresOf({ scenario, answers, ms, cpuUs, p50, p99, ttftP50, ttftP99 }) {
  const streams = isStream(scenarios.find(({ name }) => name === scenario))
  const units = streams ? answers * STREAM_EVENTS : answers
  const share = (us) => (us === undefined ? undefined : us / 1000 / ms)
  return {
    ...{ p50, p99, ttftP50, ttftP99 },
    perSecond: (answers / ms) * 1000,
    eventsPerSecond: streams ? (units / ms) * 1000 : undefined,
    cpu: units > 0 && cpuUs.proxy !== undefined ? cpuUs.proxy / units : undefined,
    ...{ proxyShare: share(cpuUs.proxy), upstreamShare: share(cpuUs.upstream), loadShare: share(cpuUs.load) },
  }
}

export class Results {
  #values = new Map()
  #timed = new Map()
  memory
  disk
  failed

  /** `cells` as measured by `Bench`; `memory` and `disk` by target. */
  constructor(cells, memory, disk = {}) {
    this.memory = memory
    this.disk = disk
    this.failed = cells.reduce((sum, cell) => sum + cell.failed, 0)
    for (const cell of cells) {
      const place = `${cell.scenario} ${cell.target}`
      this.#timed.set(place, Math.min(cell.timed, this.#timed.get(place) ?? cell.timed))
      for (const [field, value] of Object.entries(figuresOf(cell))) {
        this.#of(cell.scenario, cell.target, field)[cell.round - 1] = value
      }
    }
  }

  median(scenario, target, field) {
    return median(this.#of(scenario, target, field))
  }

  /** The median ratio of `target` to `base` over the rounds; undefined if either was not measured. */
  ratio(scenario, target, base, field) {
    return median(this.ratios(scenario, target, base, field))
  }

  /** The ratios of all rounds that measured both. */
  ratios(scenario, target, base, field) {
    return ratiosOf(this.#of(scenario, target, field), this.#of(scenario, base, field))
  }

  /** Whether each round timed enough answers for a p99. */
  hasP99(scenario, target) {
    return this.#timed.get(`${scenario} ${target}`) >= ENOUGH_FOR_P99
  }

  /** All medians of one cell, without those not measured. */
  figures(scenario, target) {
    const known = fields.map((field) => [field, this.median(scenario, target, field)])
    return Object.fromEntries(known.filter(([, value]) => value !== undefined))
  }

  /** The name of the target with the most answers per second; undefined if none was measured. */
  fastest(scenario, targets) {
    const rate = (name) => this.median(scenario, name, 'perSecond') ?? 0
    return targets.reduce(
      (best, { name }) => (rate(name) > (best === undefined ? 0 : rate(best)) ? name : best),
      undefined,
    )
  }

  #of(scenario, target, field) {
    const key = `${scenario} ${target} ${field}`
    const values = this.#values.get(key) ?? []
    this.#values.set(key, values)
    return values
  }
}
