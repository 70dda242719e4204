// Counts REST's large answers toward their sender's share of memory until the client has read them. The number of connections limits small
// ones.

import type { ServerResponse } from 'node:http'
import type { MiddlewareHandler } from 'hono'
import type { ByteReservation } from '../admission/byte-reservation.ts'
import type { Bindings } from './bindings.ts'

/** Smaller answers are not counted. */
const SMALL_BYTES = 64 * 1024

type Env = Bindings['Bindings']

export class AnswerHolds {
  readonly #open: (env: Env) => ByteReservation
  readonly #byResponse = new WeakMap<ServerResponse, ByteReservation>()

  /** `open` makes an empty reservation that ends with the response, for the request's sender. */
  constructor(open: (env: Env) => ByteReservation) {
    this.#open = open
  }

  /**
   * Reserves bytes until the response closes, in addition to those reserved before: MCP and the dashboard make several in-process calls for
   * one response. Throws `OVERLOADED`.
   */
  add(env: Env, bytes: number): void {
    const known = this.#byResponse.get(env.outgoing)
    const held = known ?? this.#open(env)
    if (known === undefined) this.#byResponse.set(env.outgoing, held)
    held.add(bytes)
  }
}

/** Middleware that counts JSON answers, unless their handler did so before it loaded them. */
export function countAnswers(holds: AnswerHolds): MiddlewareHandler<Bindings> {
  return async (c, next) => {
    await next()
    const { status, headers } = c.res
    if (status !== 200 || c.get('isCounted') === true || headers.get('content-type') !== 'application/json') return
    const bytes = new Uint8Array(await c.res.arrayBuffer())
    c.res = new Response(bytes, { status, headers })
    if (bytes.length > SMALL_BYTES) holds.add(c.env, bytes.length)
  }
}
