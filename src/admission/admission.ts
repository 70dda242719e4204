// Who may begin: requests in flight are bounded, in all and for each tenant. What is over a bound waits for at most a while, each tenant
// in a line of its own, and the lines take turns. Ours because p-queue and p-limit have one line for all, cost a promise where
// nothing waits, and keep the place of a caller who left.

import { CwmError, clientGone } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'

export interface AdmissionOptions {
  /** Requests in flight of all tenants. */
  readonly maxInFlight: number
  /** Requests of all tenants that wait. */
  readonly maxQueued: number
  /** How long one waits at most; 0: none does. */
  readonly queueMs: number
}

interface TenantQueue {
  readonly tenant: string
  readonly bound: number
  inFlight: number
  /** Oldest first. */
  readonly waiting: Set<Waiter>
}

interface Waiter {
  readonly since: number
  readonly timer: NodeJS.Timeout
  admitted: boolean
  readonly admit: () => void
  readonly reject: (error: CwmError) => void
}

type Reason = 'no_queue' | 'queue_full' | 'queue_deadline'

/** Clients take Retry-After at its word: told one and the same number, all that were refused would be back in the same second. */
const RETRY_WITHIN_S = 4

export class Admission {
  readonly #options: AdmissionOptions
  readonly #metrics: Pick<Metrics, 'refused' | 'queueSeconds'>
  readonly #now: () => number
  /** Of tenants that have a request in flight or waiting. */
  readonly #queues = new Map<string, TenantQueue>()
  /** Lines whose first request wants nothing but a slot, in the order of their turns. */
  readonly #ready = new Set<TenantQueue>()
  #inFlight = 0
  #queued = 0

  constructor(
    options: AdmissionOptions,
    metrics: Pick<Metrics, 'refused' | 'queueSeconds' | 'watch'>,
    now: () => number,
  ) {
    this.#options = options
    this.#metrics = metrics
    this.#now = now
    metrics.watch('cwm_slots_in_use', 'Requests that count towards max_in_flight', () => this.#inFlight)
    metrics.watch('cwm_requests_queued', 'Requests that wait for a slot', () => this.#queued)
  }

  /**
   * Takes a slot until the scope closes, however that comes; a promise where it has to be waited for. Throws, or rejects with,
   * `RATE_LIMIT_EXCEEDED` at the tenant's own bound, `OVERLOADED` at the one of all, `CLIENT_GONE` when the client leaves first.
   */
  enter({ tenant, policy }: Caller, scope: RequestScope): Promise<void> | undefined {
    if (scope.isGone) throw clientLeft()
    const line = this.#queueOf(tenant, policy.maxInFlight)
    if (this.#inFlight >= this.#options.maxInFlight || line.inFlight >= line.bound) return this.#enqueue(line, scope)
    this.#acquire(line)
    scope.onClose(() => this.#release(line))
    return undefined
  }

  #queueOf(tenant: string, bound = Number.POSITIVE_INFINITY): TenantQueue {
    const known = this.#queues.get(tenant)
    if (known !== undefined) return known
    const line = { tenant, bound, inFlight: 0, waiting: new Set<Waiter>() }
    this.#queues.set(tenant, line)
    return line
  }

  #acquire(line: TenantQueue): void {
    line.inFlight++
    this.#inFlight++
  }

  #release(line: TenantQueue): void {
    line.inFlight--
    this.#inFlight--
    this.#reschedule(line)
    for (const next of this.#ready) {
      const [waiter] = next.waiting
      if (waiter === undefined || this.#inFlight >= this.#options.maxInFlight) return
      this.#acquire(next)
      // It comes back behind all others: the lines take turns.
      this.#ready.delete(next)
      this.#dequeue(next, waiter)
      this.#metrics.queueSeconds.observe((this.#now() - waiter.since) / 1000)
      waiter.admitted = true
      waiter.admit()
    }
  }

  #enqueue(line: TenantQueue, scope: RequestScope): Promise<void> {
    const { queueMs, maxQueued } = this.#options
    if (queueMs === 0) throw this.#rejection(line, 'no_queue')
    if (this.#queued >= maxQueued) this.#makeRoom(line)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#dequeue(line, waiter)
        reject(this.#rejection(line, 'queue_deadline'))
      }, queueMs)
      const waiter: Waiter = { since: this.#now(), timer, admitted: false, admit: resolve, reject: reject }
      // The slot is the scope's as soon as it is given, also if that closes before whoever waits for the promise hears of it.
      scope.onClose(() => {
        if (waiter.admitted) this.#release(line)
        else if (line.waiting.has(waiter)) {
          this.#dequeue(line, waiter)
          reject(clientLeft())
        }
      })
      line.waiting.add(waiter)
      this.#queued++
      this.#reschedule(line)
    })
  }

  #dequeue(line: TenantQueue, waiter: Waiter): void {
    clearTimeout(waiter.timer)
    line.waiting.delete(waiter)
    this.#queued--
    this.#reschedule(line)
  }

  /** Puts a line where it belongs after a change: among those whose turn may come, or out of the books when nothing is left of it. */
  #reschedule(line: TenantQueue): void {
    if (line.waiting.size > 0 && line.inFlight < line.bound) this.#ready.add(line)
    else this.#ready.delete(line)
    if (line.inFlight === 0 && line.waiting.size === 0) this.#queues.delete(line.tenant)
  }

  /** The newest of the longest line gives up its place, so that a flood fills its own line and not everybody's. */
  #makeRoom(line: TenantQueue): void {
    let longest = line
    for (const other of this.#queues.values()) if (other.waiting.size > longest.waiting.size) longest = other
    if (longest.waiting.size <= line.waiting.size + 1) throw this.#rejection(line, 'queue_full')
    const newest = [...longest.waiting].at(-1)
    if (newest === undefined) return
    this.#dequeue(longest, newest)
    newest.reject(this.#rejection(longest, 'queue_full'))
  }

  #rejection(line: TenantQueue, reason: Reason): CwmError {
    const own = line.inFlight >= line.bound
    // A line that was made for this request alone would stay.
    this.#reschedule(line)
    const error = own
      ? new CwmError(
          'RATE_LIMIT_EXCEEDED',
          `your ${line.bound} requests in flight are all that you may have at once (setting max_in_flight_per_tenant); send it again later`,
          { retryAfterS: retryAfter() },
        )
      : new CwmError(
          'OVERLOADED',
          'cwm has as many requests in flight as it may have (setting max_in_flight); send it again later',
          { retryAfterS: retryAfter() },
        )
    this.#metrics.refused.inc({ code: error.code.toLowerCase(), reason })
    return error
  }
}

/** Seconds. */
export function retryAfter(): number {
  return 1 + Math.floor(Math.random() * RETRY_WITHIN_S)
}

function clientLeft(): CwmError {
  return clientGone('its request had its turn')
}
