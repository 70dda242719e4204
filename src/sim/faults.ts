// Faults that tests inject: which requests they affect, how often, and what happens. http-server.ts carries them out.

import type { ServerName } from './request-log.ts'

export type FaultAction =
  /** Resets the connection after the request line. The request is not processed. */
  | { readonly kind: 'reset' }
  /** Delays the answer. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Sends this answer instead; an object is sent as JSON. The request is not processed. */
  | {
      readonly kind: 'status'
      readonly status: number
      readonly body?: unknown
      readonly headers?: Record<string, string>
    }
  /** Processes the request, then closes the connection without sending a byte. */
  | { readonly kind: 'die-before-headers' }
  | { readonly kind: 'die-after-headers' }
  /** Closes the connection after this many whole events. A body without events counts as one. */
  | { readonly kind: 'die-after-events'; readonly events: number }
  /** Closes the connection in the middle of the event that follows this many whole ones. */
  | { readonly kind: 'die-in-event'; readonly events: number }
  /** Stops sending and keeps the connection open: after this many events, or before the headers if absent. */
  | { readonly kind: 'stall'; readonly events?: number }
  /** `content-length` is `by` bytes larger than the body, then the connection ends. Default 10. For answers without events. */
  | { readonly kind: 'wrong-length'; readonly by?: number }

export interface Fault {
  /** Default `engine`. */
  readonly server?: ServerName
  /** Any method if absent. */
  readonly method?: string
  /** A path without query; a `*` at the end matches any rest. */
  readonly path: string
  /** The number of requests it affects; default 1. `Infinity`: until `clearFaults()`. */
  readonly times?: number
  /** The number of matching requests to skip first; default 0. */
  readonly after?: number
  readonly action: FaultAction
}

const MAX_FAULTS = 1000

export class Faults {
  #orders: { fault: Fault; skip: number; left: number }[] = []

  /** Adds a fault and returns a function that removes it. Throws if 1000 are pending. */
  add(fault: Fault): () => void {
    if (this.#orders.length >= MAX_FAULTS) throw new Error(`at most ${MAX_FAULTS} faults may be pending`)
    const order = { fault, skip: fault.after ?? 0, left: fault.times ?? 1 }
    this.#orders.push(order)
    return () => {
      this.#orders = this.#orders.filter((other) => other !== order)
    }
  }

  /** The oldest fault that matches this request; its count decreases by one. */
  take(server: ServerName, method: string, path: string): FaultAction | undefined {
    for (const order of this.#orders) {
      if (!matches(order.fault, server, method, path)) continue
      if (order.skip > 0) {
        order.skip--
        continue
      }
      order.left--
      if (order.left <= 0) this.#orders = this.#orders.filter((other) => other !== order)
      return order.fault.action
    }
    return undefined
  }

  clear(): void {
    this.#orders = []
  }
}

function matches(fault: Fault, server: ServerName, method: string, path: string): boolean {
  if ((fault.server ?? 'engine') !== server) return false
  if (fault.method !== undefined && fault.method !== method) return false
  return fault.path.endsWith('*') ? path.startsWith(fault.path.slice(0, -1)) : path === fault.path
}
