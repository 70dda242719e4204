// Who sends a request: the tenant behind an API key, or the operator.

import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { readApiKey } from '../base/auth.ts'
import { CwmError } from '../base/errors.ts'
import type { KeyDeriver } from './salt.ts'

export interface Caller {
  readonly tenant: string
  readonly apiKey: string | undefined
}

/** By which a proxy on this machine tells that the request came from elsewhere. One that says nothing cannot be told apart. */
const forwardingHeaders = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'] as const

export class Callers {
  readonly #deriver: KeyDeriver
  readonly #operatorKey: string | undefined

  constructor(deriver: KeyDeriver, operatorKey: string | undefined) {
    this.#deriver = deriver
    this.#operatorKey = operatorKey
  }

  /** The tenant: each key is one, and so is no key. Throws `UNAUTHORIZED` for the operator's key, which must never go upstream. */
  identify(request: IncomingMessage): Caller {
    const apiKey = readApiKey(request)
    if (apiKey !== undefined && this.#isOperator(apiKey)) {
      throw new CwmError('UNAUTHORIZED', "the operator's key is for /cwm/metrics only; use a client's key here", {
        param: 'authorization',
      })
    }
    return { tenant: this.#deriver.tenant(apiKey), apiKey }
  }

  /** Throws `UNAUTHORIZED` unless the request has the operator's key; where none is set, unless it comes from this machine. */
  requireOperator(request: IncomingMessage): void {
    if (this.#operatorKey === undefined) {
      const forwarded = forwardingHeaders.some((name) => request.headers[name] !== undefined)
      if (isLoopback(request.socket.remoteAddress) && !forwarded) return
      throw new CwmError('UNAUTHORIZED', 'set CWM_OPERATOR_KEY to read this from another machine', {
        param: 'authorization',
      })
    }
    const apiKey = readApiKey(request)
    if (apiKey !== undefined && this.#isOperator(apiKey)) return
    throw new CwmError('UNAUTHORIZED', "this needs the operator's key", { param: 'authorization' })
  }

  #isOperator(apiKey: string): boolean {
    if (this.#operatorKey === undefined) return false
    const given = Buffer.from(this.#deriver.tenant(apiKey))
    const wanted = Buffer.from(this.#deriver.tenant(this.#operatorKey))
    return given.length === wanted.length && timingSafeEqual(given, wanted)
  }
}

/** Whether an address is this machine's own, in IPv4, IPv6 or IPv4 within IPv6. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && (/^(::ffff:)?127\./.test(address) || address === '::1')
}
