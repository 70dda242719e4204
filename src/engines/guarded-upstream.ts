// The upstream as the rest of cwm sees it: not asked while its breaker is open, nor once cwm is being stopped. Stands around `send` and tells
// the breaker what became of each request; answers pass through as they come.

import { CwmError } from '../base/errors.ts'
import type { Breaker } from './breaker.ts'
import type { Abort, AnswerControl, AnswerSink, BreakerState, OutgoingRequest, Sighting } from './engine.ts'
import { isConnectionFailure } from './failures.ts'
import type { Sender } from './json.ts'
import type { Upstream } from './upstream.ts'

const answered: Sighting = { ok: true }

export class GuardedUpstream implements Sender {
  readonly origin: string
  readonly url: string
  readonly #upstream: Upstream
  readonly #breaker: Breaker
  readonly #live = new Live()
  readonly #watch: Watch
  #ended: CwmError | undefined
  /** Asks also while the breaker is open; the answer closes it. For questions after the upstream's health. */
  readonly health: Sender

  constructor(upstream: Upstream, breaker: Breaker) {
    this.origin = upstream.origin
    this.url = upstream.url
    this.#upstream = upstream
    this.#breaker = breaker
    this.#watch = { breaker, live: this.#live, lastSeen: undefined }
    this.health = { send: (request, sink) => this.#dispatch(request, sink, true) }
  }

  /** What the breaker says now. */
  get breaker(): BreakerState {
    return this.#breaker.state
  }

  /** From turns, probes, and cwm's own calls; undefined until the first one ends. */
  get lastSeen(): Sighting | undefined {
    return this.#watch.lastSeen
  }

  /** As the upstream's own; while the breaker is open, `onError` comes at once with `UPSTREAM_OPEN`. */
  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    const admission = this.#breaker.admit()
    if (admission === 'refuse') return refuse(sink, this.#open())
    return this.#dispatch(request, sink, admission === 'probe')
  }

  /** Ends what is under way with that error, and whatever is sent later. Answers how many requests it ended. */
  end(reason: CwmError): number {
    this.#ended = reason
    const ending = this.#live.all()
    for (const answer of ending) answer.abort?.(reason)
    return ending.length
  }

  /** Ends all connections at once. */
  close(): Promise<void> {
    return this.#upstream.close()
  }

  #dispatch(request: OutgoingRequest, sink: AnswerSink, probe: boolean): Abort {
    if (this.#ended !== undefined) return refuse(sink, this.#ended)
    const answer = new WatchedAnswer(sink, this.#watch, probe)
    this.#live.add(answer)
    const abort = this.#upstream.send(request, answer)
    answer.abort = abort
    return abort
  }

  #open(): CwmError {
    const retryAfterS = Math.max(1, Math.ceil(this.#breaker.waitMs / 1000))
    return new CwmError(
      'UPSTREAM_OPEN',
      `the upstream ${this.url} could not be connected to several times in a row, and is tried again every few seconds (breaker_open_ms); is the engine running?`,
      { retryAfterS },
    )
  }
}

/**
 * What is under way; bounded by it. No Set: V8's points from each table that it has left to the next, so that the first one to reach the
 * old generation keeps all later ones, with the requests in them, from being collected young. That was a quarter of a request's time.
 */
class Live {
  readonly #answers: WatchedAnswer[] = []

  all(): readonly WatchedAnswer[] {
    return [...this.#answers]
  }

  add(answer: WatchedAnswer): void {
    answer.place = this.#answers.push(answer) - 1
  }

  /** Once for each that was added. */
  delete({ place }: WatchedAnswer): void {
    const last = this.#answers.pop()
    if (last === undefined || last.place === place) return
    this.#answers[place] = last
    last.place = place
  }
}

/** State that all answers report to. */
interface Watch {
  readonly breaker: Breaker
  readonly live: Live
  lastSeen: Sighting | undefined
}

class WatchedAnswer implements AnswerSink {
  abort: Abort | undefined
  /** Among those under way. */
  place = 0
  readonly #sink: AnswerSink
  readonly #watch: Watch
  readonly #probe: boolean
  #answered = false

  constructor(sink: AnswerSink, watch: Watch, probe: boolean) {
    this.#sink = sink
    this.#watch = watch
    this.#probe = probe
  }

  onStart(control: AnswerControl): void {
    if (this.#probe) this.#watch.breaker.connected()
    this.#sink.onStart(control)
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void {
    this.#answered = true
    this.#watch.lastSeen = answered
    this.#watch.breaker.answered(this.#probe)
    this.#sink.onHeaders(status, rawHeaders, statusText)
  }

  onData(bytes: Buffer): void {
    this.#sink.onData(bytes)
  }

  onEnd(): void {
    this.#watch.live.delete(this)
    this.#sink.onEnd()
  }

  onError(error: CwmError): void {
    this.#watch.live.delete(this)
    if (!this.#answered) {
      if (isConnectionFailure(error)) {
        this.#watch.lastSeen = { ok: false, error: error.code.toLowerCase() }
        this.#watch.breaker.failed(this.#probe, error)
      } else this.#watch.breaker.undecided(this.#probe)
    }
    this.#sink.onError(error)
  }
}

/** Answers nothing but that error. */
function refuse(sink: AnswerSink, error: CwmError): Abort {
  sink.onError(error)
  return () => {}
}
