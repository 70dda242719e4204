// The upstream as a connection pool of undici: a request goes out, a second time where nothing of it did, and its answer is handed over
// as it comes.

import { type Dispatcher, Pool } from 'undici'
import { CwmError, clientGone } from '../base/errors.ts'
import { rawHeaderIn } from '../base/flat-headers.ts'
import type { Abort, AnswerControl, AnswerSink, OutgoingRequest } from './engine.ts'
import { type RetryCause, retryCauseOf, upstreamError } from './failures.ts'

export interface UpstreamOptions {
  /** `http://host:port`, with a base path or a trailing `/v1` if need be. */
  readonly url: string
  /** Sockets to the upstream. */
  readonly connections: number
  readonly connectTimeoutMs: number
  /** Until the answer's headers; 0 waits for ever. A long prefill is not a dead engine, so this is long. */
  readonly headersTimeoutMs: number
  /** Between two byte chunks of an answer; 0, the default, waits for ever. */
  readonly bodyTimeoutMs: number
  /** A connection that no request uses is closed after so long; `KEEP_ALIVE_MS` if absent. */
  readonly keepAliveMs?: number
  /** A request of which nothing was sent is being sent once more. */
  readonly onRetry?: (cause: RetryCause) => void
}

/**
 * uvicorn closes a connection that was idle for 5 s; ours must be the first to let go, or a request meets a closing socket and may not
 * be sent again. The idle time begins later here than there: by however long this process took to read the last answer.
 */
const KEEP_ALIVE_MS = 3_000
/** What a listener that is being replaced may need. A dead engine is told of 100 ms later for it. */
const REFUSED_RETRY_MS = 100

export class Upstream {
  /** Scheme, host and port, lower case. */
  readonly origin: string
  readonly basePath: string
  readonly #pool: Pool
  readonly #onRetry: ((cause: RetryCause) => void) | undefined

  /** Throws `CONFIG` when the URL is not an http(s) one. */
  constructor(options: UpstreamOptions) {
    const url = parseUrl(options.url)
    const keepAliveTimeout = options.keepAliveMs ?? KEEP_ALIVE_MS
    this.origin = url.origin
    this.basePath = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
    this.#onRetry = options.onRetry
    this.#pool = new Pool(url.origin, {
      connections: options.connections,
      pipelining: 1,
      connect: { timeout: options.connectTimeoutMs },
      headersTimeout: options.headersTimeoutMs,
      bodyTimeout: options.bodyTimeoutMs,
      keepAliveTimeout,
      keepAliveMaxTimeout: keepAliveTimeout,
    })
  }

  get url(): string {
    return this.origin + this.basePath
  }

  /**
   * Sends one request; once more, after a moment, if none of its bytes was sent (`retryCauseOf`). Answers a function that aborts it in
   * every phase, also while it waits for a connection, for the reason given: that the client left, unless another is named.
   */
  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    const { method, path, headers, body = null } = request
    const options = { method, path: this.basePath + path, headers: headers as string[], body }
    const exchange = new Exchange(this.#pool, options, sink, this.url, this.#onRetry)
    exchange.dispatch()
    return (reason) => exchange.abort(reason)
  }

  /** Ends all connections at once; what is under way fails. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new CwmError('CONFIG', `upstream must be an http:// or https:// address such as http://127.0.0.1:8000`, {
      param: 'upstream',
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw new CwmError('CONFIG', 'upstream must not hold credentials; set CWM_UPSTREAM_API_KEY', { param: 'upstream' })
  }
  return url
}

const discardAnswer: AnswerSink = { onStart() {}, onHeaders() {}, onData() {}, onEnd() {}, onError() {} }

/** One request, and how far it has come. */
class Exchange implements Dispatcher.DispatchHandler, AnswerControl {
  readonly #pool: Pool
  readonly #options: Dispatcher.DispatchOptions
  #sink: AnswerSink
  readonly #url: string
  readonly #onRetry: ((cause: RetryCause) => void) | undefined
  /** Set right before the first byte of the request is written. */
  #controller: Dispatcher.DispatchController | undefined
  #retry: NodeJS.Timeout | undefined
  #aborted: CwmError | undefined
  #ended = false
  /** Of a server error's body, when its length is known. */
  #missingBytes: number | undefined

  constructor(
    pool: Pool,
    options: Dispatcher.DispatchOptions,
    sink: AnswerSink,
    url: string,
    onRetry: ((cause: RetryCause) => void) | undefined,
  ) {
    this.#pool = pool
    this.#options = options
    this.#sink = sink
    this.#url = url
    this.#onRetry = onRetry
  }

  dispatch(): void {
    this.#pool.dispatch(this.#options, this)
  }

  abort(reason: CwmError = clientGone('the answer was complete')): void {
    if (this.#ended || this.#aborted !== undefined) return
    this.#aborted = reason
    if (this.#controller !== undefined) {
      this.#controller.abort(reason)
      return
    }
    // It keeps its place among those that wait for a connection, but neither its bytes nor what an answer would need.
    const sink = this.#sink
    this.#ended = true
    clearTimeout(this.#retry)
    this.#options.body = null
    this.#sink = discardAnswer
    sink.onError(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Thrown, not aborted: nothing is written yet, and undici then keeps the connection for the next one that waits.
    if (this.#aborted !== undefined) throw this.#aborted
    this.#controller = controller
    this.#sink.onStart(this)
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, statusText?: string): void {
    if (status < 200) return
    if (status >= 500) this.#missingBytes = lengthOf((controller.rawHeaders ?? []) as Buffer[])
    this.#sink.onHeaders(status, (controller.rawHeaders ?? []) as Buffer[], statusText ?? '')
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#sink.onData(chunk)
    if (this.#missingBytes === undefined) return
    this.#missingBytes -= chunk.length
    if (this.#missingBytes !== 0) return
    // uvicorn closes its side after an unhandled error and does not say so: whoever used this connection next, another tenant's
    // request perhaps, would meet a reset. So the answer ends here, and the connection with it.
    this.#ended = true
    this.#sink.onEnd()
    controller.abort(new Error('a connection is not used again after a server error'))
  }

  onResponseEnd(): void {
    if (this.#ended) return
    this.#ended = true
    this.#sink.onEnd()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#ended || this.#sendsAgain(error)) return
    this.#ended = true
    if (this.#aborted !== undefined) this.#sink.onError(this.#aborted)
    else this.#sink.onError(upstreamError(error, this.#url))
  }

  #sendsAgain(error: Error): boolean {
    if (this.#controller !== undefined || this.#retry !== undefined) return false
    const cause = retryCauseOf(error)
    if (cause === undefined) return false
    this.#onRetry?.(cause)
    // Never at once: undici is still clearing up after the connection that failed.
    this.#retry = setTimeout(() => this.dispatch(), cause === 'refused' ? REFUSED_RETRY_MS : 0)
    return true
  }
}

function lengthOf(rawHeaders: readonly Buffer[]): number | undefined {
  const length = rawHeaderIn(rawHeaders, 'content-length')
  return length === undefined ? undefined : Number(length)
}
