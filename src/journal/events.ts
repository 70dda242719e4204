// The log of events: written in order behind whoever emits them, and read by those who listen, here or at another proxy. Nothing waits for
// it or fails by it.

import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { CwmEvent, EventSink } from '../base/events.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Store } from '../store/store.ts'
import { EventSubscription } from './event-subscription.ts'

export interface EventLogParts {
  readonly store: Pick<Store, 'appendEvent' | 'eventIdNow' | 'listEvents' | 'onChange'>
  readonly metrics: Pick<Metrics, 'eventErrors'>
  readonly log: Logger
  readonly now: Now
  /** Events kept, of all tenants together. */
  readonly keep: number
}

/** Events that wait for the store; what comes while so many do is lost, counted and logged. */
const MAX_PENDING = 10_000
/** Listeners of one tenant, and of the operator; and all together. Each holds a connection and up to a page of events. */
const MAX_PER_TENANT = 16
const MAX_SUBSCRIPTIONS = 512

export class EventLog implements EventSink {
  readonly #parts: EventLogParts
  readonly #subscriptions = new Set<EventSubscription>()
  readonly #unwatchStore: () => void
  #pending = 0
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
    if (this.#pending >= MAX_PENDING) {
      this.#logLost(stamped, 'too many events wait for the store')
      return
    }
    this.#pending += 1
    this.#last = this.#last.then(() => this.#append(stamped))
  }

  /**
   * Listens to a tenant's events, or to all where none is named: those behind the id `after`, or those that come from now on. Ends with the
   * signal, which must come. Throws `BUSY` for one listener too many, and `STORE_UNAVAILABLE`.
   */
  async subscribe(
    tenant: string | undefined,
    after: string | undefined,
    signal: AbortSignal,
  ): Promise<EventSubscription> {
    const { store, log } = this.#parts
    const ofOne = [...this.#subscriptions].filter((other) => other.tenant === tenant).length
    if (this.#ended || ofOne >= MAX_PER_TENANT || this.#subscriptions.size >= MAX_SUBSCRIPTIONS) {
      throw new CwmError('BUSY', this.#ended ? 'cwm is stopping' : 'too many listen to events already; close one')
    }
    const listening = new EventSubscription(store, tenant, log)
    // At once: who asks at the same time must count it.
    this.#subscriptions.add(listening)
    const leave = () => {
      this.#subscriptions.delete(listening)
      listening.end()
    }
    try {
      await listening.startAfter(after)
    } catch (thrown) {
      leave()
      throw thrown
    }
    if (signal.aborted || this.#ended) leave()
    else signal.addEventListener('abort', leave, { once: true })
    return listening
  }

  /** Ends all listeners, and takes no more. */
  closeSubscriptions(): void {
    this.#ended = true
    this.#unwatchStore()
    for (const listening of this.#subscriptions) listening.end()
    this.#subscriptions.clear()
  }

  /** Resolves when what was emitted before is stored or lost. */
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
      this.#pending -= 1
    }
  }

  #wakeSubscriptions(tenant: string): void {
    for (const listening of this.#subscriptions) {
      if (listening.tenant === undefined || listening.tenant === tenant) listening.wake()
    }
  }

  #logLost(event: CwmEvent, why: string): void {
    const { metrics, log } = this.#parts
    metrics.eventErrors.inc()
    log.warn({ event, why }, 'an event could not be stored; this line is all there is of it')
  }
}
