// Follows the deletes of windows, those of other proxies included, by the events of the store.

import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { EventSubscription } from '../journal/event-subscription.ts'
import type { EventLog } from '../journal/events.ts'

export interface DeletedWindowsParts {
  readonly events: Pick<EventLog, 'subscribe'>
  readonly log: Logger
  readonly onDeleted: (tenant: string, window: string) => void
  /** Deletes may have been missed. */
  readonly onMissed: () => void
}

/** Whose subscription it is, when subscriptions are full. No tenant's id contains a space. */
const SHARER = 'the passage index'

export class DeletedWindows {
  readonly #parts: DeletedWindowsParts
  readonly #ended = new AbortController()
  #subscribed: Promise<void> | undefined
  #followed: Promise<void> = Promise.resolve()

  constructor(parts: DeletedWindowsParts) {
    this.#parts = parts
  }

  /** Resolves once deletes are followed: those from then on are reported. Throws what `subscribe` throws. */
  follow(): Promise<void> {
    this.#subscribed ??= this.#subscribe().catch((thrown: unknown) => {
      this.#subscribed = undefined
      throw thrown
    })
    return this.#subscribed
  }

  async close(): Promise<void> {
    this.#ended.abort()
    await this.#followed
  }

  async #subscribe(): Promise<void> {
    const subscription = await this.#parts.events.subscribe(undefined, undefined, this.#ended.signal, SHARER)
    this.#followed = this.#read(subscription).catch((thrown: unknown) => {
      this.#parts.log.error({ err: toCwmError(thrown) }, 'deletes of windows are not followed')
    })
  }

  async #read(subscription: EventSubscription): Promise<void> {
    const { onDeleted, onMissed } = this.#parts
    try {
      for (let page = await subscription.next(); page !== undefined; page = await subscription.next()) {
        if (page.missed) onMissed()
        for (const { kind, tenant, window } of page.events) {
          if (kind === 'deleted' && window !== undefined) onDeleted(tenant, window)
        }
      }
    } finally {
      // It may have ended because others needed its place.
      this.#subscribed = undefined
      onMissed()
    }
  }
}
