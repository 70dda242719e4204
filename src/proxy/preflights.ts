// CORS preflights: OPTIONS requests that browsers send without a key. Bounds how many are in flight, and remembers which origins the engine
// allows. cwm's own errors carry the same CORS headers, because a page could not read them otherwise.

import type { IncomingMessage } from 'node:http'
import { LRUCache } from 'lru-cache'
import { retryAfter } from '../admission/admission.ts'
import { hasBody } from '../admission/read-bytes.ts'
import { CwmError } from '../base/errors.ts'
import { headerIn } from '../base/flat-headers.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import { rateHeaderNames } from '../dialects/rate-headers.ts'
import { exposedHeaders } from '../identity/control-headers.ts'

const MAX_ORIGINS = 100
/** No scheme, host name and port are longer. */
const MAX_ORIGIN_LENGTH = 300
/** What pages may read of cwm's own answers, besides the headers that browsers always show. */
const EXPOSED = `${exposedHeaders}, retry-after, x-should-retry, allow, ${rateHeaderNames}`
const NONE: readonly string[] = []

export class Preflights {
  readonly #max: () => number
  readonly #metrics: Pick<Metrics, 'refused'>
  /** By allowed origin: the headers for cwm's own answers to its pages, flat. */
  readonly #origins = new LRUCache<string, readonly string[]>({ max: MAX_ORIGINS })
  #inFlight = 0

  /** `max`: how many may be in flight at once. */
  constructor(max: () => number, metrics: Pick<Metrics, 'refused'>) {
    this.#max = max
    this.#metrics = metrics
  }

  /** Takes a place until the scope closes. Throws `NOT_SUPPORTED` for a body, `OVERLOADED` over the bound. */
  enter(request: IncomingMessage, scope: RequestScope): void {
    // Nothing bounds such a body: it would reach the engine without a key.
    if (hasBody(request)) {
      throw new CwmError('NOT_SUPPORTED', 'OPTIONS requests with a body are refused; send it without one', {
        param: 'body',
      })
    }
    const max = this.#max()
    if (this.#inFlight >= max) {
      this.#metrics.refused.inc({ code: 'overloaded', reason: 'preflights' })
      const message = `${max} OPTIONS requests are already in flight, the most allowed (setting max_preflights); retry later`
      throw new CwmError('OVERLOADED', message, { retryAfterS: retryAfter() })
    }
    this.#inFlight++
    scope.onClose(() => {
      this.#inFlight--
    })
  }

  /**
   * Remembers what an answer of the engine allows the request's origin. A preflight decides anew. Other answers count too, because the preflight
   * may have gone to another proxy, and browsers keep its result. Returns `headers` unchanged.
   */
  learn({ method, headers: { origin } }: IncomingMessage, headers: string[]): string[] {
    if (origin === undefined || origin.length > MAX_ORIGIN_LENGTH) return headers
    if (method === 'OPTIONS') this.#origins.delete(origin)
    else if (this.#origins.has(origin)) return headers
    const allowed = headerIn(headers, 'access-control-allow-origin')
    if (allowed !== '*' && allowed !== origin) return headers
    const own = ['access-control-allow-origin', allowed]
    if (headerIn(headers, 'access-control-allow-credentials') === 'true') {
      own.push('access-control-allow-credentials', 'true')
    }
    if (allowed !== '*') own.push('vary', 'Origin')
    own.push('access-control-expose-headers', EXPOSED)
    this.#origins.set(origin, own)
    return headers
  }

  /** The headers that let a page of the request's origin read cwm's own answer, flat; none unless the engine allowed that origin. */
  headersFor({ headers: { origin } }: IncomingMessage): readonly string[] {
    return (origin === undefined ? undefined : this.#origins.get(origin)) ?? NONE
  }
}
