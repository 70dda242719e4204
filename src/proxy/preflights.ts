// What browsers ask before a request of a page, OPTIONS without a key: how many may be under way, and what the engine's answers say of
// the pages that may read answers. cwm's own errors say the same to such a page, or it could not read why its request failed.

import type { IncomingMessage } from 'node:http'
import { CwmError } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import { retryAfter } from './admission.ts'
import { hasBody } from './body.ts'
import type { Closing } from './departure.ts'
import { exposedHeaders } from './headers.ts'

const MAX_ORIGINS = 100
/** Longer ones are no host name with a scheme and a port. */
const MAX_ORIGIN_LENGTH = 300
const NONE: readonly string[] = []

export class Preflights {
  readonly #max: number
  readonly #metrics: Pick<Metrics, 'refused'>
  /** Headers for answers to each origin, flat; the least recently used first. */
  readonly #origins = new Map<string, readonly string[]>()
  #inFlight = 0

  /** `max`: how many are under way at once. */
  constructor(max: number, metrics: Pick<Metrics, 'refused'>) {
    this.#max = max
    this.#metrics = metrics
  }

  /** Takes a place until the response is closed. Throws `NOT_SUPPORTED` for a body, `OVERLOADED` over the bound. */
  enter(request: IncomingMessage, closing: Closing): void {
    // It would go to the engine without a key, outside of all bounds on bodies.
    if (hasBody(request)) {
      throw new CwmError('NOT_SUPPORTED', 'OPTIONS requests with a body are refused; leave the body out', {
        param: 'body',
      })
    }
    if (this.#inFlight >= this.#max) {
      this.#metrics.refused.inc({ code: 'overloaded', reason: 'preflights' })
      const message = `there are ${this.#max} OPTIONS requests under way already (setting max_preflights); send it again later`
      throw new CwmError('OVERLOADED', message, { retryAfterS: retryAfter() })
    }
    this.#inFlight++
    closing.push(() => {
      this.#inFlight--
    })
  }

  /** Remembers what the engine's answer to a preflight allows its origin, and answers the headers as they are. */
  learn({ method, headers: { origin } }: IncomingMessage, headers: string[]): string[] {
    if (method !== 'OPTIONS' || origin === undefined || origin.length > MAX_ORIGIN_LENGTH) return headers
    this.#origins.delete(origin)
    const allowed = headerOf(headers, 'access-control-allow-origin')
    if (allowed !== '*' && allowed !== origin) return headers
    const own = ['access-control-allow-origin', allowed]
    if (headerOf(headers, 'access-control-allow-credentials') === 'true') {
      own.push('access-control-allow-credentials', 'true')
    }
    if (allowed !== '*') own.push('vary', 'Origin')
    own.push('access-control-expose-headers', `${exposedHeaders}, retry-after, x-should-retry, allow`)
    this.#origins.set(origin, own)
    if (this.#origins.size > MAX_ORIGINS) {
      for (const oldest of this.#origins.keys()) {
        this.#origins.delete(oldest)
        break
      }
    }
    return headers
  }

  /** The headers that let the page of a request read an answer of cwm's own, flat; none unless the engine allowed its origin. */
  headersFor({ headers: { origin } }: IncomingMessage): readonly string[] {
    if (origin === undefined) return NONE
    const own = this.#origins.get(origin)
    if (own === undefined) return NONE
    this.#origins.delete(origin)
    this.#origins.set(origin, own)
    return own
  }
}

function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i]?.toLowerCase() === name) return headers[i + 1]
  return undefined
}
