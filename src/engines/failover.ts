// Sends one request, and sends the same bytes to another engine as long as no byte was written.

import type { CwmError } from '../base/errors.ts'
import type { Abort, AnswerControl, AnswerSink, OutgoingRequest } from './engine.ts'
import { isUnwritten } from './failures.ts'
import type { Member } from './member.ts'

export interface FailoverOptions {
  readonly request: OutgoingRequest
  readonly sink: AnswerSink
  /** The member to try after `failed`, which could not be reached; undefined if there is no other. */
  readonly next: (failed: Member, error: CwmError) => Member | undefined
  /** Called when a connection accepts the request: its first byte is written now. */
  readonly started: (member: Member) => void
}

/** Sends a request, and passes its answer on. If no engine can be reached, the sink gets the error of the first one. */
export class Failover implements AnswerSink {
  readonly #options: FailoverOptions
  #member: Member
  #abort: Abort | undefined
  #attempt = 0
  #isStarted = false
  #isAborted = false
  #firstError: CwmError | undefined

  constructor(first: Member, options: FailoverOptions) {
    this.#member = first
    this.#options = options
  }

  /** Returns a function that aborts the request at its current engine. */
  send(): Abort {
    this.#try()
    return (reason) => {
      this.#isAborted = true
      this.#abort?.(reason)
    }
  }

  #try(): void {
    this.#attempt++
    const attempt = this.#attempt
    const abort = this.#member.engine.send(this.#options.request, this)
    // An open breaker reports its error before `send` returns. By then, the next attempt has already stored its own abort.
    if (attempt === this.#attempt) this.#abort = abort
  }

  onStart(control: AnswerControl): void {
    this.#isStarted = true
    this.#options.started(this.#member)
    this.#options.sink.onStart(control)
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void {
    this.#options.sink.onHeaders(status, rawHeaders, statusText)
  }

  onData(bytes: Buffer): void {
    this.#options.sink.onData(bytes)
  }

  onEnd(): void {
    this.#options.sink.onEnd()
  }

  onError(error: CwmError): void {
    if (this.#isStarted || this.#isAborted || !isUnwritten(error)) {
      this.#options.sink.onError(error)
      return
    }
    this.#firstError ??= error
    const next = this.#options.next(this.#member, error)
    if (next === undefined) {
      this.#options.sink.onError(this.#firstError)
      return
    }
    this.#member = next
    this.#try()
  }
}
