// Sends comments to clients of streams until the first token arrives, so that proxies in between do not mistake a long prefill for a dead
// connection. Comments, not Anthropic's `event: ping`: every reader of event streams must skip them, even before the first event.

import { CwmError } from '../base/errors.ts'
import { rawHeaderIn } from '../base/flat-headers.ts'
import { isObject, parseJson } from '../base/json.ts'
import type { AnswerControl, AnswerSink } from '../engines/engine.ts'
import type { ClientResponse } from './client-response.ts'

const COMMENT = Buffer.from(': keep-alive\n\n')
/** Maximum bytes of an error answer that is reported within a stream; errors are short. */
const MAX_ERROR_BYTES = 64 * 1024

/** The waiting streams, with one timer for all. Each gets a comment whenever the interval has passed since its start. */
export class Heartbeats {
  readonly #everyMs: number
  /** With the due time of each, earliest first. Bounded by the requests in flight. */
  readonly #due = new Map<AwaitedStream, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /**
   * Wraps `answer` until its stream begins. `mayBegin`: status 200 may be sent before the engine's answer is known; otherwise comments wait
   * for its headers.
   */
  over(answer: AnswerSink, client: ClientResponse, mayBegin: boolean): AnswerSink {
    const stream = new AwaitedStream(answer, client, mayBegin, () => this.#due.delete(stream))
    this.#due.set(stream, performance.now() + this.#everyMs)
    if (this.#timer === undefined) this.#wait(this.#everyMs)
    return stream
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#beat(), ms).unref()
  }

  #beat(): void {
    const now = performance.now()
    this.#timer = undefined
    for (const [stream, due] of this.#due) {
      if (due > now) {
        this.#wait(due - now)
        return
      }
      stream.beat()
      this.#due.delete(stream)
      this.#due.set(stream, now + this.#everyMs)
    }
  }
}

/** An answer whose first byte has not arrived. Passes everything on, except an answer that is no stream after the client got stream headers. */
class AwaitedStream implements AnswerSink {
  readonly #answer: AnswerSink
  readonly #client: ClientResponse
  readonly #mayBegin: boolean
  readonly #stop: () => void
  #waits = true
  /** The bytes of an answer that can no longer be passed on. */
  #refused: { readonly status: number; readonly body: Buffer[]; bytes: number } | undefined

  constructor(answer: AnswerSink, client: ClientResponse, mayBegin: boolean, stop: () => void) {
    this.#answer = answer
    this.#client = client
    this.#mayBegin = mayBegin
    this.#stop = stop
  }

  beat(): void {
    const client = this.#client
    if (client.gone || client.isFull) return
    if (!client.headersSent) {
      if (!this.#mayBegin) return
      client.beginStream()
    }
    client.write(COMMENT)
  }

  onStart(control: AnswerControl): void {
    this.#answer.onStart(control)
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void {
    const isStream = isEventStream(rawHeaders)
    if (!isStream) this.#end()
    if (this.#client.headersSent && !(isStream && status === 200)) this.#refused = { status, body: [], bytes: 0 }
    else this.#answer.onHeaders(status, rawHeaders, statusText)
  }

  onData(bytes: Buffer): void {
    if (this.#waits) this.#end()
    if (this.#refused === undefined) {
      this.#answer.onData(bytes)
      return
    }
    this.#refused.bytes += bytes.length
    if (this.#refused.bytes <= MAX_ERROR_BYTES) this.#refused.body.push(bytes)
  }

  onEnd(): void {
    this.#end()
    if (this.#refused === undefined) this.#answer.onEnd()
    else this.#answer.onError(refusalOf(this.#refused.status, Buffer.concat(this.#refused.body)))
  }

  onError(error: CwmError): void {
    this.#end()
    this.#answer.onError(error)
  }

  #end(): void {
    this.#waits = false
    this.#stop()
  }
}

function isEventStream(rawHeaders: readonly Buffer[]): boolean {
  return /^text\/event-stream\b/i.test(rawHeaderIn(rawHeaders, 'content-type') ?? '')
}

/** The error for an engine's answer that is no stream, with the engine's own message. */
function refusalOf(status: number, body: Buffer): CwmError {
  const json = parseJson(body.toString('utf8'))
  const error = isObject(json) ? json.error : undefined
  const detail = isObject(error) && typeof error.message === 'string' ? { detail: error.message } : {}
  return new CwmError('UPSTREAM_REJECTED', `the upstream answered ${status} and no stream`, detail)
}
