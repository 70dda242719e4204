// The usage of all tenants in the store, for the gauges of `/cwm/metrics`. It is read on a scrape, and cached between scrapes.

import type { Now } from '../base/clock.ts'
import type { TenantUsage } from '../base/records.ts'
import { SingleSlot } from '../base/single-flight.ts'
import type { Store } from '../store/store.ts'

/** How long a result is fresh: at least this time, or this multiple of the duration of the read. So this uses at most 1/20 of a Redis with very many tenants. */
const FRESH_MS = 5_000
const FRESH_TIMES = 20
/** The longest that a scrape waits for the store. Prometheus gives up after 10 s. */
const WAIT_MS = 1_000

export class TotalUsage {
  readonly #store: Pick<Store, 'usageOfAll'>
  readonly #now: Now
  #last: TenantUsage | undefined
  #freshUntil = Number.NEGATIVE_INFINITY
  /** Until then a stale result is still returned if the next read is slow. */
  #goodUntil = Number.NEGATIVE_INFINITY
  readonly #reads = new SingleSlot<void>()

  constructor(store: Pick<Store, 'usageOfAll'>, now: Now) {
    this.#store = store
    this.#now = now
  }

  /** Never throws. Undefined while the store does not answer. Reads of the store do not overlap. */
  async read(): Promise<TenantUsage | undefined> {
    if (this.#now() >= this.#freshUntil) {
      const asking = this.#reads.run(() => this.#ask())
      if (!(await isDoneWithin(asking, WAIT_MS)) && this.#now() >= this.#goodUntil) return undefined
    }
    return this.#last
  }

  async #ask(): Promise<void> {
    const began = this.#now()
    this.#last = await this.#store.usageOfAll().catch(() => undefined)
    const ended = this.#now()
    const freshMs = Math.max(FRESH_MS, FRESH_TIMES * (ended - began))
    this.#freshUntil = ended + freshMs
    this.#goodUntil = ended + 2 * freshMs
  }
}

async function isDoneWithin(work: Promise<void>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms).unref()
  })
  try {
    return await Promise.race([work.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
