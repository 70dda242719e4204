// Notifies vllm-router that a key has no session left, so that its policy `sticky_least_loaded` no longer counts the key
// (vllm-project/router, src/server.rs: POST /finish_session?session_id=…). Best effort: one attempt, in the background.

import type { Logger } from '../base/logger.ts'
import type { Abort, AnswerSink } from './engine.ts'
import type { EngineFleet, EngineNeed, KeyOf } from './fleet.ts'

/** Limit of concurrent calls. */
const MAX_CALLS = 4
/** Limit of waiting keys. Further ones expire in the router (after two hours by default). */
const MAX_WAITING = 1_000
const DEADLINE_MS = 5_000

export interface FinishOptions {
  readonly fleet: EngineFleet
  readonly keyOf: KeyOf
  /** The upstream's own key. Undefined: none is sent. */
  readonly apiKey: () => string | undefined
  readonly log: Logger
}

/** Reports keys without sessions. Bounded; `close` drops waiting reports and aborts those in flight. */
export class FinishedSessions {
  readonly #options: FinishOptions
  readonly #waiting: EngineNeed[] = []
  readonly #aborts = new Set<() => void>()
  #calls = 0
  #closed = false

  constructor(options: FinishOptions) {
    this.#options = options
  }

  /** Reports that the key of `need` has no session left. Never throws, and returns at once. */
  report(need: EngineNeed): void {
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
      void this.#send(need).finally(() => {
        this.#calls--
        this.#next()
      })
    }
  }

  async #send(need: EngineNeed): Promise<void> {
    const { fleet, keyOf, apiKey, log } = this.#options
    const key = keyOf(need)
    if (key === undefined) return
    const engine = await fleet.pick(need)
    if (this.#closed) return
    const own = apiKey()
    const headers = own === undefined ? [] : ['authorization', `Bearer ${own}`]
    const request = { method: 'POST', path: `/finish_session?session_id=${key}`, headers, body: undefined }
    const outcome = await this.#call((sink) => engine.send(request, sink))
    if (outcome !== undefined)
      log.debug({ reason: outcome }, 'the router did not accept the end of a session (POST /finish_session)')
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
