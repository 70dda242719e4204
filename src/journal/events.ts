// The event log: stores events in order, in the background, and feeds them to subscribers on this proxy and on others. Emitters do not wait
// for it, and do not fail if it fails.

import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { CwmEvent, EventSink } from '../base/events.ts'
import { FairBudget } from '../base/fair-budget.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Store } from '../store/store.ts'
import { EventSubscription } from './event-subscription.ts'
import { SubscriptionSlots } from './subscription-slots.ts'

export interface EventLogParts {
  readonly store: Pick<Store, 'appendEvent' | 'eventIdNow' | 'listEvents' | 'onChange'>
  readonly metrics: Pick<Metrics, 'eventErrors'>
  readonly log: Logger
  readonly now: Now
  /** Number of events kept, over all tenants. */
  readonly keep: number
}

/** Most events that wait for the store. Further ones are dropped, counted, and logged. */
const MAX_PENDING = 10_000

/** The sharer of the operator's subscriptions. No tenant's id contains a space. */
const OPERATOR = 'the operator'

export class EventLog implements EventSink {
  readonly #parts: EventLogParts
  readonly #slots = new SubscriptionSlots()
  readonly #unwatchStore: () => void
  readonly #waiting = new FairBudget(MAX_PENDING)
  #last: Promise<void> = Promise.resolve()
  #ended = false

  constructor(parts: EventLogParts) {
    this.#parts = parts
    this.#unwatchStore = parts.store.onChange((change) => {
      if (change.kind === 'event') this.#wakeSubscriptions(change.tenant)
    })
  }

  emit(event: Omit<CwmEvent, 'at'>): void {
    const stamped = { ...event, at: this.#parts.now() }
    if (!this.#waiting.change(event.tenant, 0, 1)) {
      this.#logLost(stamped, 'too many events are waiting for the store')
      return
    }
    this.#last = this.#last.then(() => this.#append(stamped))
  }

  /**
   * Subscribes to a tenant's events, or to all events if `tenant` is undefined. Starts after the event with id `after`, or now. The caller
   * must abort `signal` to end the subscription. It also ends when its slot is needed for another `sharer` with fewer subscriptions.
   * Throws `BUSY` if there are too many, and `STORE_UNAVAILABLE`.
   */
  async subscribe(
    tenant: string | undefined,
    after: string | undefined,
    signal: AbortSignal,
    sharer = tenant ?? OPERATOR,
  ): Promise<EventSubscription> {
    const { store, log } = this.#parts
    if (this.#ended) throw new CwmError('BUSY', 'cwm is stopping')
    const subscription = new EventSubscription(store, tenant, log)
    // Taken before the first await, so that concurrent calls count it.
    this.#slots.take(subscription, sharer)
    const leave = () => this.#slots.release(subscription)
    try {
      await subscription.startAfter(after)
    } catch (thrown) {
      leave()
      throw thrown
    }
    if (signal.aborted || this.#ended) leave()
    else signal.addEventListener('abort', leave, { once: true })
    return subscription
  }

  /** Ends all subscriptions and rejects new ones. */
  closeSubscriptions(): void {
    this.#ended = true
    this.#unwatchStore()
    for (const subscription of [...this.#slots.all()]) this.#slots.release(subscription)
  }

  /** Resolves once every event emitted so far is stored or dropped. */
  settle(): Promise<void> {
    return this.#last
  }

  async #append(event: CwmEvent): Promise<void> {
    const { store, keep } = this.#parts
    try {
      await store.appendEvent(event, keep)
      this.#wakeSubscriptions(event.tenant)
    } catch (thrown) {
      this.#logLost(event, toCwmError(thrown).code.toLowerCase())
    } finally {
      this.#waiting.change(event.tenant, 1, 0)
    }
  }

  #wakeSubscriptions(tenant: string): void {
    for (const subscription of this.#slots.all()) {
      if (subscription.tenant === undefined || subscription.tenant === tenant) subscription.wake()
    }
  }

  #logLost(event: CwmEvent, why: string): void {
    const { metrics, log } = this.#parts
    metrics.eventErrors.inc()
    log.warn({ event, why }, 'event not stored; this log line is its only record')
  }
}
