// What one request uses of its limits: reserved before its dispatch, settled by what the engine reports.

import type { Now } from '../base/clock.ts'
import { CwmError, type ErrorCode } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import { quotasOf, type RateQuotas } from '../base/rates.ts'
import type { Usage } from '../base/records.ts'
import type { RateAccount, RateAnswer, RateChange } from '../store/rate-methods.ts'

/** What a request is expected to use, tokens. */
export interface RateNeed {
  /** Of its prompt, without what is expected to be cached. */
  readonly prompt: number
  /** Of its prompt, what is expected to be cached. It is free. */
  readonly cached: number
  /** Of its answer: what the client allows, and no more than is reserved for any answer. */
  readonly answer: number
}

/** Headers that tell a client what is left, in its dialect. */
export type RateHeaders = (quotas: RateQuotas, now: number) => Readonly<Record<string, string>>

/** What was counted, and how to correct it where it was counted. */
export interface Taken extends RateAnswer {
  readonly settle: (at: number, change: RateChange) => void
}

export interface ChargeParts {
  readonly accounts: readonly RateAccount[]
  readonly take: (tokens: number) => Promise<Taken>
  readonly headersOf: RateHeaders
  readonly metrics: Pick<Metrics, 'rateLimited'>
  readonly now: Now
}

/** Python's SDKs ignore a longer `Retry-After`. */
const MAX_RETRY_AFTER_S = 60

/** More than any limit or engine needs, and few enough for sums that Redis can count: a client may ask for `n: 1e308` choices. */
const MAX_TOKENS = 1e12

/** Errors of requests for which nothing was computed. */
const notComputed: ReadonlySet<ErrorCode> = new Set([
  'UPSTREAM_REFUSED',
  'UPSTREAM_OPEN',
  'UPSTREAM_REJECTED',
  'STORE_UNAVAILABLE',
  'WINDOW_NOT_FOUND',
])

/** The request does not fit now. Nothing was done for it, so it may be tried again after `retryAfterS`. */
export class RateLimited extends CwmError {
  constructor(
    message: string,
    options: { readonly retryAfterS: number; readonly headers: Readonly<Record<string, string>> },
  ) {
    super('RATE_LIMIT_EXCEEDED', message, options)
  }
}

interface Reserved {
  readonly at: number
  readonly need: RateNeed
  /** What was taken for it. */
  readonly tokens: number
  readonly settle: Taken['settle']
}

/** Each of the methods that end it has an effect only if none was called before. */
export class RateCharge {
  readonly #parts: ChargeParts
  #quotas: RateQuotas = {}
  /** Undefined before the reservation, and after the end. */
  #reserved: Reserved | undefined
  #closed = false
  #dispatched = false

  constructor(parts: ChargeParts) {
    this.#parts = parts
  }

  /** What is left, in the client's dialect. By lower-case name. */
  get headers(): Readonly<Record<string, string>> {
    return this.#parts.headersOf(this.#quotas, this.#parts.now())
  }

  /**
   * Reserves the request. Throws `RATE_LIMIT_EXCEEDED` if it does not fit now, with the time to wait, and `RATE_LIMIT_TOO_SMALL` if it never
   * will; nothing is reserved then.
   */
  async reserve(need: RateNeed): Promise<void> {
    const { accounts, take } = this.#parts
    const tokens = Math.min(MAX_TOKENS, Math.ceil(need.prompt + need.answer))
    const taken = await take(tokens)
    const { at, uses, settle } = taken
    this.#quotas = quotasOf(
      accounts.flatMap(({ limit }, i) => (uses[i] === undefined ? [] : [{ limit, use: uses[i] }])),
    )
    if (at === undefined) throw this.#refusal(taken, tokens)
    this.#reserved = { at, need, tokens, settle }
    // Its client left while the store was asked.
    if (this.#closed) this.release()
  }

  /** From now on the engine may compute. */
  dispatched(): void {
    this.#dispatched = true
  }

  /** The answer is complete. Without usage, what was reserved stays. */
  settle(usage: Usage | undefined): void {
    if (usage === undefined) return
    this.#end(({ need, tokens }) => {
      const { promptTokens, completionTokens, cachedTokens = need.cached } = usage
      const computed = Math.max(0, promptTokens - cachedTokens) + completionTokens
      return { requests: 0, tokens: computed - tokens }
    })
  }

  /** It ended without usage: aborted, broken off, or unread. What was reserved stays, and answer tokens beyond it are added. */
  settleUnread(answerTokens: number): void {
    this.#end(({ need }) => ({ requests: 0, tokens: Math.max(0, answerTokens - Math.ceil(need.answer)) }))
  }

  /** Nothing was computed, but the request counts. */
  computedNothing(): void {
    this.#end(({ tokens }) => ({ requests: 0, tokens: -tokens }))
  }

  /** It failed with this error. `answerTokens`: at least so many were seen. */
  failed({ code }: CwmError, answerTokens = 0): void {
    if (notComputed.has(code) && answerTokens === 0) this.computedNothing()
    else this.settleUnread(answerTokens)
  }

  /** It was never dispatched, and does not count. */
  release(): void {
    this.#end(({ tokens }) => ({ requests: -1, tokens: -tokens }))
  }

  /** The request is over. What was dispatched may still be settled after that, by what was seen of its answer. */
  close(): void {
    this.#closed = true
    if (!this.#dispatched) this.release()
  }

  #end(changeOf: (reserved: Reserved) => RateChange): void {
    const reserved = this.#reserved
    if (reserved === undefined) return
    this.#reserved = undefined
    const change = changeOf(reserved)
    if (change.requests !== 0 || change.tokens !== 0) reserved.settle(reserved.at, change)
  }

  #refusal({ uses, waitMs }: Taken, tokens: number): CwmError {
    const { accounts, metrics } = this.#parts
    const headers = this.headers
    for (const { name, limit } of accounts) {
      if (limit.tokens === undefined || tokens <= limit.tokens) continue
      metrics.rateLimited.inc({ limit: 'size', of: scopeOf(name) })
      const message = `this request needs about ${tokens} tokens, and ${possessiveOf(name)} tokens_per_minute is ${limit.tokens}: send less, lower max_tokens, or ask the operator for a higher limit`
      return new CwmError('RATE_LIMIT_TOO_SMALL', message, { headers })
    }
    const retryAfterS = Math.min(MAX_RETRY_AFTER_S, Math.ceil(Math.max(waitMs.requests, waitMs.tokens) / 1000))
    const kind = waitMs.tokens >= waitMs.requests ? 'tokens' : 'requests'
    const more = kind === 'tokens' ? tokens : 1
    const full = accounts.findIndex(({ limit }, i) => (uses[i]?.[kind] ?? 0) + more > (limit[kind] ?? Infinity))
    const account = accounts[full]
    const name = account?.name ?? ''
    metrics.rateLimited.inc({ limit: kind, of: scopeOf(name) })
    const wanted = kind === 'tokens' ? `, and this request needs about ${tokens}` : ''
    const message = `rate limit reached: ${possessiveOf(name)} ${kind}_per_minute is ${account?.limit[kind]}, ${uses[full]?.[kind]} are used${wanted}. Try again in ${retryAfterS} s`
    return new RateLimited(message, { retryAfterS, headers })
  }
}

function scopeOf(account: string): 'tenant' | 'key' {
  return account === '' ? 'tenant' : 'key'
}

function possessiveOf(account: string): string {
  return account === '' ? 'your' : "this key's"
}
