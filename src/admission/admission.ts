// Admission of requests: limits how many are in flight, overall and per tenant. Requests over a limit wait in a queue per tenant, for a
// bounded time. Work that a client waits for is admitted here, through whichever interface it came; other work in background.ts.

import { CwmError, clientGone } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'
import { FairSlots, type Line } from './fair-slots.ts'

export interface AdmissionOptions {
  /** Maximum requests in flight across all tenants. */
  readonly maxInFlight: number
  /** Maximum queued requests across all tenants. */
  readonly maxQueued: number
  /** Longest time that a request waits, milliseconds; 0 disables queueing. */
  readonly queueMs: number
}

type Sender = Pick<Caller, 'sharer' | 'policy'>
type Reason = 'no_queue' | 'queue_full' | 'queue_deadline'

/** Retry-After is random within this range. With a fixed value, all rejected clients would come back in the same second. */
const RETRY_WITHIN_S = 4

export class Admission {
  #options: AdmissionOptions
  readonly #metrics: Pick<Metrics, 'refused' | 'queueSeconds'>
  readonly #now: () => number
  readonly #slots: FairSlots
  /** How to reject each waiting request. Bounded by `maxQueued`. */
  readonly #rejects = new Set<(error: CwmError) => void>()
  #closedWith: CwmError | undefined

  constructor(
    options: AdmissionOptions,
    metrics: Pick<Metrics, 'refused' | 'queueSeconds' | 'watch'>,
    now: () => number,
  ) {
    this.#options = options
    this.#metrics = metrics
    this.#now = now
    this.#slots = new FairSlots(options.maxInFlight, options.maxQueued)
    metrics.watch('cwm_slots_in_use', 'Requests that count towards max_in_flight', () => this.#slots.held)
    metrics.watch('cwm_requests_queued', 'Requests that wait for a slot', () => this.#slots.waiting)
  }

  /** Changes the limits. Requests in flight or in the queue beyond a lower limit continue. */
  update(options: AdmissionOptions): void {
    this.#options = options
    this.#slots.resize(options.maxInFlight, options.maxQueued)
  }

  /**
   * Acquires a slot and releases it when the scope closes. Returns a promise only if the request has to wait. A scope has one slot: calls for
   * the same request do not take another. Throws, or rejects with, `RATE_LIMIT_EXCEEDED` at the tenant's limit,
   * `OVERLOADED` at the overall limit, `CLIENT_GONE` if the client leaves first, and `SHUTTING_DOWN`.
   */
  enter({ sharer, policy }: Sender, scope: RequestScope): Promise<void> | undefined {
    if (scope.slot !== undefined) return scope.slot === 'held' ? undefined : scope.slot
    if (scope.isGone) throw clientLeft()
    const line = this.#slots.lineOf(sharer, policy.maxInFlight ?? Number.POSITIVE_INFINITY)
    if (!this.#slots.tryAcquire(line)) {
      scope.slot = this.#enqueue(line, scope)
      return scope.slot
    }
    scope.slot = 'held'
    scope.onClose(() => this.#slots.release(line))
    return undefined
  }

  /**
   * Runs work in its own slot until the work has ended: work that continues after its client has left still counts. If the request has a
   * slot already, the work uses that one. A request that fans out has none, and runs each branch here. Throws what `enter` and the work
   * throw.
   */
  async run<T>(sender: Sender, request: RequestScope, work: () => Promise<T>): Promise<T> {
    if (request.slot === 'held') return await work()
    if (request.isGone) throw clientLeft()
    let begun = false
    const branch = new RequestScope(unanswered)
    request.onClose(() => {
      if (!begun) branch.close()
    })
    const entered = this.enter(sender, branch)
    if (entered !== undefined) await entered
    // The client may have left after the slot was assigned.
    if (branch.isGone) throw clientLeft()
    begun = true
    try {
      return await work()
    } finally {
      branch.close()
    }
  }

  /** Rejects with this error whatever waits, and whatever would wait from now on. */
  close(error: CwmError): void {
    this.#closedWith = error
    for (const reject of [...this.#rejects]) reject(error)
  }

  #enqueue(line: Line, scope: RequestScope): Promise<void> {
    const { queueMs } = this.#options
    if (this.#closedWith !== undefined) {
      this.#slots.forget(line)
      throw this.#closedWith
    }
    if (queueMs === 0) throw this.#rejection(line, 'no_queue')
    return new Promise((resolve, reject) => {
      const since = this.#now()
      let admitted = false
      const stop = (error: CwmError) => {
        this.#slots.leave(line, waiter)
        clearTimeout(timer)
        this.#rejects.delete(stop)
        scope.queuedMs = this.#now() - since
        reject(error)
      }
      const waiter = {
        // The scope owns the slot from here on, even if it closes before the promise's handlers run.
        admit: () => {
          clearTimeout(timer)
          this.#rejects.delete(stop)
          scope.queuedMs = this.#now() - since
          this.#metrics.queueSeconds.observe(scope.queuedMs / 1000)
          admitted = true
          scope.slot = 'held'
          resolve()
        },
        displace: () => stop(this.#rejection(line, 'queue_full')),
      }
      if (!this.#slots.wait(line, waiter)) return reject(this.#rejection(line, 'queue_full'))
      const timer = setTimeout(() => stop(this.#rejection(line, 'queue_deadline')), queueMs)
      this.#rejects.add(stop)
      scope.onClose(() => {
        if (admitted) this.#slots.release(line)
        else stop(clientLeft())
      })
    })
  }

  #rejection(line: Line, reason: Reason): CwmError {
    const own = line.held >= line.bound
    // Drops the line if it was created for this request only.
    this.#slots.forget(line)
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

/** A branch has no answer. */
const unanswered = { destroyed: false, writableFinished: true }

/** A random `Retry-After`, seconds. */
export function retryAfter(): number {
  return 1 + Math.floor(Math.random() * RETRY_WITHIN_S)
}

function clientLeft(): CwmError {
  return clientGone('its request was admitted')
}
