// Everything that must end with a request, in one place: slots, bytes, sessions in memory, calls made for it. Code that acquires something
// for a request registers here how to release it.

import type { ServerResponse } from 'node:http'
import type { RequestTrace } from './request-trace.ts'

/**
 * The answer to the request, or a substitute for one. `destroyed`: nobody can receive it any longer. `writableFinished`: it was sent
 * completely.
 */
type Answering = Pick<ServerResponse, 'destroyed' | 'writableFinished'>

export class RequestScope {
  readonly #answer: Answering
  #callbacks: (() => void)[] | undefined
  #controller: AbortController | undefined
  #closed = false
  /** The request's slot of admission, or the wait for one. Set by admission only: a request has one slot, whatever is done for it. */
  slot: 'held' | Promise<void> | undefined
  /** How long it waited for that slot, milliseconds. Set by admission. */
  queuedMs = 0
  /** The request's trace; undefined unless tracing is on. Set when the request arrives. */
  trace: RequestTrace | undefined

  constructor(answer: Answering) {
    this.#answer = answer
  }

  /** A scope that closes with the response. */
  static of(response: ServerResponse): RequestScope {
    const scope = new RequestScope(response)
    response.once('close', () => scope.close())
    return scope
  }

  /** Nobody waits for the answer any longer. */
  get isGone(): boolean {
    return this.#closed || this.#answer.destroyed
  }

  /** The answer was sent completely. */
  get isAnswered(): boolean {
    return this.#answer.writableFinished
  }

  /**
   * Aborts when the client disconnects before it has its answer. Created on first use, because few requests make calls before their
   * dispatch.
   */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.isGone) this.#controller.abort()
    }
    return this.#controller.signal
  }

  /** Runs the callback once, when the scope closes; at once if it has closed. It must not throw. */
  onClose(run: () => void): void {
    if (this.#closed) run()
    else if (this.#callbacks === undefined) this.#callbacks = [run]
    else this.#callbacks.push(run)
  }

  /** Resolves once nobody waits for the answer any longer; never rejects. */
  whenGone(): Promise<void> {
    return this.isGone ? Promise.resolve() : new Promise((resolve) => this.onClose(resolve))
  }

  /** Runs the callbacks in the order of registration, and aborts calls in progress unless the answer was sent completely. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const callbacks = this.#callbacks
    this.#callbacks = undefined
    if (callbacks !== undefined) for (const run of callbacks) run()
    if (!this.#answer.writableFinished) this.#controller?.abort()
  }
}
