// What all tenants together have in the store, for the gauges of `/cwm/metrics`: asked when somebody scrapes, and not with each scrape.

import type { Now } from '../base/clock.ts'
import type { TenantUsage } from '../base/records.ts'
import type { Store } from '../store/store.ts'

/** An answer is good for so long, or for so many times the time that it took: a Redis with very many tenants is busy with this one part in 20. */
const FRESH_MS = 5_000
const FRESH_TIMES = 20
/** No scrape waits longer than that for the store; Prometheus gives one up after 10 s. */
const WAIT_MS = 1_000

export class TotalUsage {
  readonly #store: Pick<Store, 'usageOfAll'>
  readonly #now: Now
  #last: TenantUsage | undefined
  #freshUntil = Number.NEGATIVE_INFINITY
  /** Until then it is told as well, but only where the next answer is late. */
  #goodUntil = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  constructor(store: Pick<Store, 'usageOfAll'>, now: Now) {
    this.#store = store
    this.#now = now
  }

  /** Never throws. Undefined while the store does not answer. One question at a time goes to the store, whoever asks. */
  async read(): Promise<TenantUsage | undefined> {
    if (this.#now() >= this.#freshUntil) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = undefined
      })
      if (!(await isDoneWithin(this.#asking, WAIT_MS)) && this.#now() >= this.#goodUntil) return undefined
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
