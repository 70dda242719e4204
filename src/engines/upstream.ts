// The upstream as a connection pool of undici. Sends requests, retries a request once if none of its bytes were sent, and passes each
// answer on as it arrives.

import { type Dispatcher, Pool } from 'undici'
import { type CwmError, clientGone } from '../base/errors.ts'
import { rawHeaderIn } from '../base/flat-headers.ts'
import type { Abort, AnswerControl, AnswerSink, OutgoingRequest } from './engine.ts'
import { parseEngineUrl } from './engine-url.ts'
import { type RetryCause, retryCauseOf, upstreamError } from './failures.ts'

export interface UpstreamOptions {
  /** `http://host:port`, optionally with a base path or a trailing `/v1`. */
  readonly url: string
  /** Maximum number of sockets to the upstream. */
  readonly connections: number
  readonly connectTimeoutMs: number
  /** Maximum time until the answer's headers; 0: no limit. Long, because a long prefill is not a dead engine. */
  readonly headersTimeoutMs: number
  /** Maximum time between two byte chunks of an answer; 0, the default: no limit. */
  readonly bodyTimeoutMs: number
  /** Time after which an idle connection is closed; `KEEP_ALIVE_MS` if absent. */
  readonly keepAliveMs?: number
  /** Called when a request is retried because none of its bytes were sent. */
  readonly onRetry?: (cause: RetryCause) => void
}

/**
 * uvicorn closes a connection after 5 s of idle time. cwm must close it first. Otherwise a request could meet a closing socket, and then it
 * must not be retried. Idle time starts later here than in uvicorn, by the time that this process took to read the last answer.
 */
const KEEP_ALIVE_MS = 3_000
/** Gives a listener that is being replaced time to return. It delays the error for a dead engine by 100 ms. */
const REFUSED_RETRY_MS = 100

export class Upstream {
  /** Scheme, host and port, in lower case. */
  readonly origin: string
  readonly basePath: string
  readonly #pool: Pool
  readonly #onRetry: ((cause: RetryCause) => void) | undefined

  /** Throws `CONFIG` if the URL is not an http or https URL, or contains credentials. */
  constructor(options: UpstreamOptions) {
    const { origin, basePath } = parseEngineUrl(options.url)
    const keepAliveTimeout = options.keepAliveMs ?? KEEP_ALIVE_MS
    this.origin = origin
    this.basePath = basePath
    this.#onRetry = options.onRetry
    this.#pool = new Pool(origin, {
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
   * Sends one request. Retries it once, after a short delay, if none of its bytes were sent (`retryCauseOf`). Returns a function that
   * aborts it in every phase, even while it waits for a connection. Without a given reason, the reason is that the client left.
   */
  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    const { method, path, headers, body = null } = request
    const options = { method, path: this.basePath + path, headers: headers as string[], body }
    const exchange = new Exchange(this.#pool, options, sink, this.url, this.#onRetry)
    exchange.dispatch()
    return (reason) => exchange.abort(reason)
  }

  /** Closes all connections immediately. Requests in flight fail. */
  async close(): Promise<void> {
    await this.#pool.destroy()
  }
}

const discardAnswer: AnswerSink = { onStart() {}, onHeaders() {}, onData() {}, onEnd() {}, onError() {} }

/** One request and its progress. */
class Exchange implements Dispatcher.DispatchHandler, AnswerControl {
  readonly #pool: Pool
  readonly #options: Dispatcher.DispatchOptions
  #sink: AnswerSink
  readonly #url: string
  readonly #onRetry: ((cause: RetryCause) => void) | undefined
  /** Set just before the first byte of the request is written. */
  #controller: Dispatcher.DispatchController | undefined
  #retry: NodeJS.Timeout | undefined
  #aborted: CwmError | undefined
  #ended = false
  /** Unread bytes of a server error's body, if its length is known. */
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
    // The request keeps its place in the queue for a connection, but releases its body and its sink.
    const sink = this.#sink
    this.#ended = true
    clearTimeout(this.#retry)
    this.#options.body = null
    this.#sink = discardAnswer
    sink.onError(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Throws instead of aborting: nothing is written yet, so undici keeps the connection for the next waiting request.
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
    // uvicorn closes its side after an unhandled error without announcing it. The next request on this connection, possibly another
    // tenant's, would meet a reset. So the connection is closed as soon as the answer is complete.
    this.#ended = true
    this.#sink.onEnd()
    controller.abort(new Error('connections are not reused after a server error'))
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
    // Never synchronously: undici is still cleaning up after the failed connection.
    this.#retry = setTimeout(() => this.dispatch(), cause === 'refused' ? REFUSED_RETRY_MS : 0)
    return true
  }
}

function lengthOf(rawHeaders: readonly Buffer[]): number | undefined {
  const length = rawHeaderIn(rawHeaders, 'content-length')
  return length === undefined ? undefined : Number(length)
}
