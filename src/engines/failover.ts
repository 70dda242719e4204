// One request that may be sent to another engine, while no byte of it was written to the first one. What is sent stays the same.

import type { CwmError } from '../base/errors.ts'
import type { Abort, AnswerControl, AnswerSink, OutgoingRequest } from './engine.ts'
import { isUnwritten } from './failures.ts'
import type { Member } from './member.ts'

export interface FailoverOptions {
  readonly request: OutgoingRequest
  readonly sink: AnswerSink
  /** The member to try after `failed`, which did not take the request; undefined if there is no other. */
  readonly next: (failed: Member, error: CwmError) => Member | undefined
  /** A connection took the request: its first byte is written now. */
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

  /** Returns the function that aborts it, whichever engine has it. */
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
    // An open breaker reports its error before `send` returns. The next attempt has its own function then.
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
