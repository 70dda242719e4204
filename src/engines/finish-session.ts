// Tells vllm-router that a key has no session left, so that its policy `sticky_least_loaded` no longer counts it
// (vllm-project/router, src/server.rs: POST /finish_session?session_id=…). Best effort: one attempt, and nobody waits for it.

import type { Logger } from '../base/logger.ts'
import type { Abort, AnswerSink } from './engine.ts'
import type { EngineFleet, EngineNeed, KeyOf } from './fleet.ts'

/** Calls at once. */
const MAX_CALLS = 4
/** Keys that wait. Further ones are left to the router's own expiry (two hours by default). */
const MAX_WAITING = 1_000
const DEADLINE_MS = 5_000

export interface FinishOptions {
  readonly fleet: EngineFleet
  readonly keyOf: KeyOf
  /** The upstream's own key. Undefined: none is sent. */
  readonly apiKey: () => string | undefined
  readonly log: Logger
}

/** Reports keys as finished. Bounded; `close` drops what waits and aborts what is in flight. */
export class FinishedSessions {
  readonly #options: FinishOptions
  readonly #waiting: EngineNeed[] = []
  readonly #aborts = new Set<() => void>()
  #calls = 0
  #closed = false

  constructor(options: FinishOptions) {
    this.#options = options
  }

  /** Its key has no session left. Never throws, and returns at once. */
  finished(need: EngineNeed): void {
    if (this.#closed || this.#waiting.length >= MAX_WAITING) return
    this.#waiting.push(need)
    this.#next()
  }

  close(): void {
    this.#closed = true
    this.#waiting.length = 0
    for (const abort of this.#aborts) abort()
  }

  #next(): void {
    while (this.#calls < MAX_CALLS) {
      const need = this.#waiting.shift()
      if (need === undefined) return
      this.#calls++
      void this.#report(need).finally(() => {
        this.#calls--
        this.#next()
      })
    }
  }

  async #report(need: EngineNeed): Promise<void> {
    const { fleet, keyOf, apiKey, log } = this.#options
    const key = keyOf(need)
    if (key === undefined) return
    const engine = await fleet.pick(need)
    if (this.#closed) return
    const own = apiKey()
    const headers = own === undefined ? [] : ['authorization', `Bearer ${own}`]
    const request = { method: 'POST', path: `/finish_session?session_id=${key}`, headers, body: undefined }
    const outcome = await this.#call((sink) => engine.send(request, sink))
    if (outcome !== undefined) log.debug({ reason: outcome }, 'the router was not told that a session ended')
  }

  /** Undefined, or why the router did not accept it. */
  #call(send: (sink: AnswerSink) => Abort): Promise<string | undefined> {
    return new Promise((resolve) => {
      let failure: string | undefined
      let abort: Abort = () => {}
      const stop = () => {
        abort()
        settle('no answer')
      }
      const deadline = setTimeout(stop, DEADLINE_MS)
      deadline.unref()
      const settle = (outcome: string | undefined) => {
        clearTimeout(deadline)
        this.#aborts.delete(stop)
        resolve(outcome)
      }
      this.#aborts.add(stop)
      abort = send({
        onStart() {},
        onHeaders(status) {
          if (status >= 300) failure = `status ${status}`
        },
        onData() {},
        onEnd: () => settle(failure),
        onError: ({ code }) => settle(code.toLowerCase()),
      })
    })
  }
}
