// Comments sent to clients of streams while the first token is awaited, so that what stands between does not take a long prefill for a
// dead connection. A comment, not Anthropic's `event: ping`: every reader of event streams must skip it, also before the first event.

import { CwmError } from '../base/errors.ts'
import { rawHeaderIn } from '../base/flat-headers.ts'
import { isObject, parseJson } from '../base/json.ts'
import type { AnswerControl, AnswerSink } from '../engines/engine.ts'
import type { ClientResponse } from './client-response.ts'

const COMMENT = Buffer.from(': keep-alive\n\n')
/** Of an error answer that is told within a stream; errors are short. */
const MAX_ERROR_BYTES = 64 * 1024

/** The streams that wait, and one timer for all: each is due so long after it began, and again and again. */
export class Heartbeats {
  readonly #everyMs: number
  /** With the time at which each is due, soonest first. Bounded by the requests in flight. */
  readonly #due = new Map<AwaitedStream, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  /**
   * Stands before `answer` until its stream begins. `mayBegin`: status 200 may go out before the upstream's answer is known; otherwise
   * comments wait for its headers.
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

/** An answer whose first byte is awaited. Passes all on, but for an answer that is no stream once the client was promised one. */
class AwaitedStream implements AnswerSink {
  readonly #answer: AnswerSink
  readonly #client: ClientResponse
  readonly #mayBegin: boolean
  readonly #stop: () => void
  #waits = true
  /** Of an answer that cannot be passed on any more. */
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

/** The upstream's answer in place of a stream that the client was promised, with its own words for the client. */
function refusalOf(status: number, body: Buffer): CwmError {
  const json = parseJson(body.toString('utf8'))
  const error = isObject(json) ? json.error : undefined
  const detail = isObject(error) && typeof error.message === 'string' ? { detail: error.message } : {}
  return new CwmError('UPSTREAM_REJECTED', `the upstream answered ${status} and no stream`, detail)
}
