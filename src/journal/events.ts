// The log of events: written in order behind whoever emits them, and read by those who listen, here or at another proxy. Nothing waits for
// it or fails by it.

import type { Now } from '../base/clock.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { CwmEvent, EventSink } from '../base/events.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Store } from '../store/store.ts'
import { Listening } from './event-subscription.ts'

export interface EventLogParts {
  readonly store: Pick<Store, 'appendEvent' | 'eventIdNow' | 'listEvents' | 'onChange'>
  readonly metrics: Pick<Metrics, 'eventErrors'>
  readonly log: Logger
  readonly now: Now
  /** Events kept, of all tenants together. */
  readonly keep: number
}

/** Events that wait for the store; what comes while so many do is lost, counted and logged. */
const MAX_WAITING = 10_000
/** Listeners of one tenant, and of the operator; and all together. Each holds a connection and up to a page of events. */
const MAX_OF_ONE = 16
const MAX_LISTENERS = 512

export class EventLog implements EventSink {
  readonly #parts: EventLogParts
  readonly #listeners = new Set<Listening>()
  readonly #stopHearing: () => void
  #waiting = 0
  #last: Promise<void> = Promise.resolve()
  #ended = false

  constructor(parts: EventLogParts) {
    this.#parts = parts
    this.#stopHearing = parts.store.onChange((change) => {
      if (change.kind === 'event') this.#tell(change.tenant)
    })
  }

  emit(event: Omit<CwmEvent, 'at'>): void {
    const stamped = { ...event, at: this.#parts.now() }
    if (this.#waiting >= MAX_WAITING) {
      this.#lose(stamped, 'too many events wait for the store')
      return
    }
    this.#waiting += 1
    this.#last = this.#last.then(() => this.#append(stamped))
  }

  /**
   * Listens to a tenant's events, or to all where none is named: those behind the id `after`, or those that come from now on. Ends with the
   * signal, which must come. Throws `BUSY` for one listener too many, and `STORE_UNAVAILABLE`.
   */
  async listen(tenant: string | undefined, after: string | undefined, signal: AbortSignal): Promise<Listening> {
    const { store, log } = this.#parts
    const ofOne = [...this.#listeners].filter((other) => other.tenant === tenant).length
    if (this.#ended || ofOne >= MAX_OF_ONE || this.#listeners.size >= MAX_LISTENERS) {
      throw new CwmError('BUSY', this.#ended ? 'cwm is stopping' : 'too many listen to events already; close one')
    }
    const listening = new Listening(store, tenant, log)
    // At once: who asks at the same time must count it.
    this.#listeners.add(listening)
    const leave = () => {
      this.#listeners.delete(listening)
      listening.end()
    }
    try {
      await listening.beginBehind(after)
    } catch (thrown) {
      leave()
      throw thrown
    }
    if (signal.aborted || this.#ended) leave()
    else signal.addEventListener('abort', leave, { once: true })
    return listening
  }

  /** Ends all listeners, and takes no more. */
  endListening(): void {
    this.#ended = true
    this.#stopHearing()
    for (const listening of this.#listeners) listening.end()
    this.#listeners.clear()
  }

  /** Resolves when what was emitted before is stored or lost. */
  settle(): Promise<void> {
    return this.#last
  }

  async #append(event: CwmEvent): Promise<void> {
    const { store, keep } = this.#parts
    try {
      await store.appendEvent(event, keep)
      this.#tell(event.tenant)
    } catch (thrown) {
      this.#lose(event, toCwmError(thrown).code.toLowerCase())
    } finally {
      this.#waiting -= 1
    }
  }

  #tell(tenant: string): void {
    for (const listening of this.#listeners) {
      if (listening.tenant === undefined || listening.tenant === tenant) listening.wake()
    }
  }

  #lose(event: CwmEvent, why: string): void {
    const { metrics, log } = this.#parts
    metrics.eventErrors.inc()
    log.warn({ event, why }, 'an event could not be stored; this line is all there is of it')
  }
}
