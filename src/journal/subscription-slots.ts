// The slots for event subscriptions: limited per tenant and in total, and fair by sharer. If all are taken, a new subscription ends the oldest
// one of the sharer with the most, unless its own sharer has as many. The ended client reconnects with the last id, and loses nothing.

import { CwmError } from '../base/errors.ts'
import type { EventSubscription } from './event-subscription.ts'

/** Subscriptions per tenant (the operator counts as one), and in total. Each holds a connection and up to a page of events. */
const MAX_PER_TENANT = 16
const MAX_SUBSCRIPTIONS = 512

export class SubscriptionSlots {
  /** Each with its sharer, oldest first. */
  readonly #taken = new Map<EventSubscription, string>()

  /** Those that have not ended. */
  all(): Iterable<EventSubscription> {
    return this.#taken.keys()
  }

  /** Takes a slot. `sharer`: a tenant, or the address behind several. Throws `BUSY` if there is none for it. */
  take(subscription: EventSubscription, sharer: string): void {
    const { tenant } = subscription
    let ofTenant = 0
    for (const other of this.#taken.keys()) if (other.tenant === tenant) ofTenant++
    if (ofTenant >= MAX_PER_TENANT) {
      throw new CwmError(
        'BUSY',
        `${MAX_PER_TENANT} clients of this tenant are subscribed to events, which is the limit; close one and try again`,
      )
    }
    if (this.#taken.size >= MAX_SUBSCRIPTIONS) this.#makeRoom(sharer)
    this.#taken.set(subscription, sharer)
  }

  release(subscription: EventSubscription): void {
    this.#taken.delete(subscription)
    subscription.end()
  }

  #makeRoom(sharer: string): void {
    const [largest, count] = this.#largest()
    const own = [...this.#taken.values()].filter((other) => other === sharer).length
    const oldest = [...this.#taken].find(([, other]) => other === largest)?.[0]
    if (oldest === undefined || count <= own + 1) {
      throw new CwmError(
        'BUSY',
        `all ${MAX_SUBSCRIPTIONS} event subscriptions are in use, and no tenant has more than an even share; try again later`,
      )
    }
    this.release(oldest)
  }

  #largest(): readonly [sharer: string, count: number] {
    const counts = new Map<string, number>()
    for (const sharer of this.#taken.values()) counts.set(sharer, (counts.get(sharer) ?? 0) + 1)
    let largest: readonly [string, number] = ['', 0]
    for (const entry of counts) if (entry[1] > largest[1]) largest = entry
    return largest
  }
}
