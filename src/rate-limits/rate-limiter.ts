// Rate limits: what a tenant and each of its keys may use within a minute. Counted by the store, so that they hold for all proxies on it
// together; by this process alone while the store does not answer, because a turn must not wait for it. Who is limited, and how: docs/decisions/0031.

import { answerWithin } from '../base/answer-within.ts'
import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import { quotasOf, type RateQuotas } from '../base/rates.ts'
import type { Caller } from '../base/tenants.ts'
import type { RateAccount, RateChange } from '../store/rate-methods.ts'
import { RateWindows } from '../store/rate-windows.ts'
import type { Store } from '../store/store.ts'
import { RateCharge, type RateHeaders, type Taken } from './rate-charge.ts'

export interface RateLimiterParts {
  readonly store: Pick<Store, 'takeRate' | 'settleRate' | 'readRates'>
  readonly metrics: Pick<Metrics, 'rateLimited' | 'rateFallbacks'>
  readonly log: Pick<Logger, 'warn' | 'info'>
  readonly now: Now
}

/** Whose limits apply to a request. */
export type RatedCaller = Pick<Caller, 'sharer' | 'actor' | 'policy'>

const WHOLE_TENANT = ''
/** How long a turn waits for the store. */
const TAKE_MS = 400
/** How long cwm does not ask the store after it did not answer. */
const BACKOFF_MS = 1_000

export class RateLimiter {
  readonly #parts: RateLimiterParts
  /** Of this process, while the store does not answer. */
  readonly #local: RateWindows
  #isStoreDown = false
  /** Until when the store is not asked again. */
  #retryAt = Number.NEGATIVE_INFINITY

  constructor(parts: RateLimiterParts) {
    this.#parts = parts
    this.#local = new RateWindows(parts.now)
  }

  /** Undefined for a caller without limits, which costs nothing. The charge has to be closed. */
  open(caller: RatedCaller, headersOf: RateHeaders): RateCharge | undefined {
    const accounts = accountsOf(caller)
    if (accounts === undefined) return undefined
    const take = (tokens: number) => this.#take(caller.sharer, accounts, tokens)
    return new RateCharge({ ...this.#parts, accounts, take, headersOf })
  }

  /** What is left of the caller's limits; undefined if it has none. */
  async read(caller: RatedCaller): Promise<{ readonly tenant: RateQuotas; readonly key: RateQuotas } | undefined> {
    const accounts = accountsOf(caller)
    if (accounts === undefined) return undefined
    const names = accounts.map(({ name }) => name)
    const uses = await this.#parts.store
      .readRates(caller.sharer, names)
      .catch(() => this.#local.read(caller.sharer, names))
    const used = accounts.flatMap(({ name, limit }, i) => {
      const use = uses[i]
      return use === undefined ? [] : [{ name, limit, use }]
    })
    return {
      tenant: quotasOf(used.filter(({ name }) => name === WHOLE_TENANT)),
      key: quotasOf(used.filter(({ name }) => name !== WHOLE_TENANT)),
    }
  }

  async #take(owner: string, accounts: readonly RateAccount[], tokens: number): Promise<Taken> {
    const names = accounts.map(({ name }) => name)
    return (await this.#takeShared(owner, accounts, names, tokens)) ?? this.#takeLocally(owner, accounts, names, tokens)
  }

  /** Undefined if the store does not answer, or did not a moment ago. */
  async #takeShared(
    owner: string,
    accounts: readonly RateAccount[],
    names: readonly string[],
    tokens: number,
  ): Promise<Taken | undefined> {
    const { store, now } = this.#parts
    if (now() < this.#retryAt) return undefined
    // What cannot be given back counts for the rest of its minute.
    const settle = (at: number, change: RateChange) =>
      void store.settleRate(owner, names, at, change).catch((thrown: unknown) => this.#reportOutage(thrown))
    const taking = store.takeRate(owner, accounts, tokens)
    try {
      const answer = await answerWithin(taking, TAKE_MS, tooLate)
      this.#reportRecovery()
      return { ...answer, settle }
    } catch (thrown) {
      this.#reportOutage(thrown)
      // It may have been counted all the same.
      taking.then(
        ({ at }) => at !== undefined && settle(at, { requests: -1, tokens: -tokens }),
        () => {},
      )
      return undefined
    }
  }

  #takeLocally(owner: string, accounts: readonly RateAccount[], names: readonly string[], tokens: number): Taken {
    this.#parts.metrics.rateFallbacks.inc()
    const settle = (at: number, change: RateChange) => this.#local.settle(owner, names, at, change)
    return { ...this.#local.take(owner, accounts, tokens), settle }
  }

  /** Logs once per outage. */
  #reportOutage(thrown: unknown): void {
    this.#retryAt = this.#parts.now() + BACKOFF_MS
    if (this.#isStoreDown) return
    this.#isStoreDown = true
    const why = toCwmError(thrown).code.toLowerCase()
    this.#parts.log.warn({ why }, 'rate limits are counted by this proxy alone until the store answers')
  }

  #reportRecovery(): void {
    if (!this.#isStoreDown) return
    this.#isStoreDown = false
    this.#parts.log.info({}, 'rate limits are counted for all proxies together again')
  }
}

function tooLate(): CwmError {
  return new CwmError('STORE_UNAVAILABLE', `the store did not count a request within ${TAKE_MS} ms`)
}

function accountsOf({ actor, policy: { rates } }: RatedCaller): readonly RateAccount[] | undefined {
  if (rates === undefined) return undefined
  const { tenant, key } = rates
  const accounts: RateAccount[] = []
  if (tenant !== undefined) accounts.push({ name: WHOLE_TENANT, limit: tenant })
  // Prefixed, because a key may have any name.
  if (key !== undefined) accounts.push({ name: `key:${actor}`, limit: key })
  return accounts.length === 0 ? undefined : accounts
}
