// Faults that a test orders: which request they strike, how often, and what happens then. http-server.ts commits them.

import type { ServerName } from './request-log.ts'

export type FaultAction =
  /** The connection is reset as soon as the request line is in; nothing is worked on. */
  | { readonly kind: 'reset' }
  /** The answer comes, later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Another answer instead; an object is sent as JSON. Nothing is worked on. */
  | {
      readonly kind: 'status'
      readonly status: number
      readonly body?: unknown
      readonly headers?: Record<string, string>
    }
  /** The work is done, then the connection breaks without a byte. */
  | { readonly kind: 'die-before-headers' }
  | { readonly kind: 'die-after-headers' }
  /** Breaks after that many whole events; a body without events counts as one. */
  | { readonly kind: 'die-after-events'; readonly events: number }
  /** Breaks in the middle of the event that follows so many whole ones. */
  | { readonly kind: 'die-in-event'; readonly events: number }
  /** Nothing more comes and the connection stays: after so many events, or before the headers if absent. */
  | { readonly kind: 'stall'; readonly events?: number }
  /** `content-length` promises `by` bytes more than come; then the connection ends. Default 10. For answers without events. */
  | { readonly kind: 'wrong-length'; readonly by?: number }

export interface Fault {
  /** Default `engine`. */
  readonly server?: ServerName
  /** Any method if absent. */
  readonly method?: string
  /** A path without query; `*` at the end stands for any rest. */
  readonly path: string
  /** How many requests it strikes; default 1, `Infinity` until `clearFaults()`. */
  readonly times?: number
  /** How many matching requests pass before; default 0. */
  readonly after?: number
  readonly action: FaultAction
}

const MAX_FAULTS = 1000

export class Faults {
  #orders: { fault: Fault; skip: number; left: number }[] = []

  /** Orders a fault; the function returned takes the order back. Throws once 1000 stand. */
  add(fault: Fault): () => void {
    if (this.#orders.length >= MAX_FAULTS) throw new Error(`${MAX_FAULTS} faults are ordered already`)
    const order = { fault, skip: fault.after ?? 0, left: fault.times ?? 1 }
    this.#orders.push(order)
    return () => {
      this.#orders = this.#orders.filter((other) => other !== order)
    }
  }

  /** The fault that strikes this request, which uses it up by one. Oldest order first. */
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
