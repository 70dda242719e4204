// Admission control: limits the requests in flight, overall and per tenant. Requests over a limit wait in a queue per tenant, for a bounded
// time, and the queues are served round-robin. p-queue and p-limit do not fit: they have a single queue, allocate a promise even when
// nothing waits, and keep the place of a caller who has left.

import { CwmError, clientGone } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'

export interface AdmissionOptions {
  /** Maximum requests in flight across all tenants. */
  readonly maxInFlight: number
  /** Maximum queued requests across all tenants. */
  readonly maxQueued: number
  /** Longest time that a request waits, milliseconds; 0 disables queueing. */
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

/** Retry-After is random within this range. With a fixed value, all rejected clients would come back in the same second. */
const RETRY_WITHIN_S = 4

export class Admission {
  readonly #options: AdmissionOptions
  readonly #metrics: Pick<Metrics, 'refused' | 'queueSeconds'>
  readonly #now: () => number
  /** One per tenant that has a request in flight or waiting. */
  readonly #queues = new Map<string, TenantQueue>()
  /** Queues whose first request could start if a slot were free, in round-robin order. */
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
   * Acquires a slot and releases it when the scope closes. Returns a promise only if the request has to wait. Throws, or rejects with,
   * `RATE_LIMIT_EXCEEDED` at the tenant's limit, `OVERLOADED` at the overall limit, `CLIENT_GONE` if the client leaves first.
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
      // `#dequeue` adds it again at the end, behind all others.
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
      // The scope owns the slot from the moment of admission, even if it closes before the promise's handlers run.
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

  /** Updates `#ready` after a change to a queue, and drops the queue once it is empty and has nothing in flight. */
  #reschedule(line: TenantQueue): void {
    if (line.waiting.size > 0 && line.inFlight < line.bound) this.#ready.add(line)
    else this.#ready.delete(line)
    if (line.inFlight === 0 && line.waiting.size === 0) this.#queues.delete(line.tenant)
  }

  /** Rejects the newest request of the longest queue, so that a tenant that floods cwm only displaces its own requests. */
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
    // Drops the queue if it was created for this request only.
    this.#reschedule(line)
    const error = own
      ? new CwmError(
          'RATE_LIMIT_EXCEEDED',
          `you already have ${line.bound} requests in flight, the most allowed per tenant (setting max_in_flight_per_tenant); try again later`,
          { retryAfterS: retryAfter() },
        )
      : new CwmError(
          'OVERLOADED',
          'cwm is at its limit of requests in flight (setting max_in_flight); try again later',
          { retryAfterS: retryAfter() },
        )
    this.#metrics.refused.inc({ code: error.code.toLowerCase(), reason })
    return error
  }
}

/** A random `Retry-After`, seconds. */
export function retryAfter(): number {
  return 1 + Math.floor(Math.random() * RETRY_WITHIN_S)
}

function clientLeft(): CwmError {
  return clientGone('its request was admitted')
}
