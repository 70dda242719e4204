// The upstream as a connection pool: one request dispatched, its answer handed over as it comes. The only undici of cwm.

import type { Readable } from 'node:stream'
import { type Dispatcher, errors, Pool } from 'undici'
import { CwmError } from '../base/errors.ts'

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
}

/** A request that goes out. `path` begins with `/` and is under the upstream's base path. */
export interface OutgoingRequest {
  readonly method: string
  readonly path: string
  /** Flat: name, value, name, value. */
  readonly headers: readonly string[]
  readonly body: Buffer | Readable | undefined
}

/** Where an answer goes. `onError` ends it and comes at most once; nothing comes after it or after `onEnd`. */
export interface AnswerSink {
  /** The request has a connection; `abort` ends it in any phase from here on. */
  onStart(control: AnswerControl): void
  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void
  onData(bytes: Buffer): void
  onEnd(): void
  onError(error: CwmError): void
}

export interface AnswerControl {
  pause(): void
  resume(): void
  abort(): void
}

/** uvicorn closes a connection that was idle for 5 s; ours must be the first to let go, or a request meets a closing socket. */
const KEEP_ALIVE_MS = 4_000

export class Upstream {
  /** Scheme, host and port, lower case. */
  readonly origin: string
  readonly basePath: string
  readonly #pool: Pool

  /** Throws `CONFIG` when the URL is not an http(s) one. */
  constructor(options: UpstreamOptions) {
    const url = parseUrl(options.url)
    this.origin = url.origin
    this.basePath = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
    this.#pool = new Pool(url.origin, {
      connections: options.connections,
      pipelining: 1,
      connect: { timeout: options.connectTimeoutMs },
      headersTimeout: options.headersTimeoutMs,
      bodyTimeout: options.bodyTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
    })
  }

  get url(): string {
    return this.origin + this.basePath
  }

  /**
   * Sends one request. Answers a function that aborts it in every phase, also while it waits for a connection, for the reason given: that
   * the client left, unless another is named.
   */
  send(request: OutgoingRequest, sink: AnswerSink): (reason?: CwmError) => void {
    const handler = new SinkHandler(sink, this.url)
    this.#pool.dispatch(
      {
        method: request.method,
        path: this.basePath + request.path,
        headers: request.headers as string[],
        body: request.body ?? null,
      },
      handler,
    )
    return (reason) => handler.abort(reason)
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

class SinkHandler implements Dispatcher.DispatchHandler {
  readonly #sink: AnswerSink
  readonly #url: string
  #controller: Dispatcher.DispatchController | undefined
  #aborted: CwmError | undefined
  #ended = false
  /** Of a server error's body, when its length is known. */
  #missingBytes: number | undefined

  constructor(sink: AnswerSink, url: string) {
    this.#sink = sink
    this.#url = url
  }

  abort(reason: CwmError = clientGone()): void {
    if (this.#ended || this.#aborted !== undefined) return
    this.#aborted = reason
    if (this.#controller !== undefined) {
      this.#controller.abort(reason)
      return
    }
    // Still waiting for a connection: nobody waits for its turn any more.
    this.#ended = true
    this.#sink.onError(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#aborted !== undefined) {
      controller.abort(this.#aborted)
      return
    }
    this.#sink.onStart({
      pause: () => controller.pause(),
      resume: () => controller.resume(),
      abort: () => this.abort(),
    })
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
    if (this.#ended) return
    this.#ended = true
    if (this.#aborted !== undefined) this.#sink.onError(this.#aborted)
    // A body of ours that broke off, with the reason that broke it.
    else this.#sink.onError(error instanceof CwmError ? error : upstreamError(error, this.#url))
  }
}

function lengthOf(rawHeaders: readonly Buffer[]): number | undefined {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toString('latin1').toLowerCase() !== 'content-length') continue
    return Number(rawHeaders[i + 1]?.toString('latin1'))
  }
  return undefined
}

function clientGone(): CwmError {
  return new CwmError('CLIENT_GONE', 'the client left before the answer was complete')
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** undici's and the system's errors as ours: refused, timed out and broken are different codes. */
function upstreamError(error: Error, url: string): CwmError {
  const inner = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  const code = codeOf(error) || codeOf(inner)
  if (error instanceof errors.HeadersTimeoutError) {
    return new CwmError('UPSTREAM_TIMEOUT', `the upstream ${url} sent no answer in time (headers_timeout_ms)`, {
      cause: error,
    })
  }
  if (error instanceof errors.BodyTimeoutError) {
    return new CwmError('UPSTREAM_TIMEOUT', `the upstream ${url} stopped in mid-answer (stream_timeout_ms)`, {
      cause: error,
    })
  }
  if (
    error instanceof errors.ConnectTimeoutError ||
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOST|ENET|ERR_TLS|CERT_)/.test(code)
  ) {
    const reason = code === '' ? 'connect timed out' : code
    return new CwmError(
      'UPSTREAM_REFUSED',
      `no connection to the upstream ${url} (${reason}); is the engine running?`,
      {
        cause: error,
      },
    )
  }
  return new CwmError('UPSTREAM_BROKEN', `the upstream ${url} broke the connection (${code || error.name})`, {
    cause: error,
  })
}
