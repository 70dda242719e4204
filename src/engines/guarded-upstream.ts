// The upstream with its circuit breaker. It sends no requests while the breaker is open or cwm is shutting down. It wraps `send`, reports
// the outcome of each request to the breaker, and passes answers through unchanged.

import { CwmError } from '../base/errors.ts'
import { PlainCounter } from '../base/metrics-plain.ts'
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
  readonly #sent: PlainCounter
  #ended: CwmError | undefined
  /** Sends health checks, even while the breaker is open. An answer closes the breaker. */
  readonly health: Sender

  /** `sent` counts the requests, health checks not included. */
  constructor(upstream: Upstream, breaker: Breaker, sent = new PlainCounter()) {
    this.#sent = sent
    this.origin = upstream.origin
    this.url = upstream.url
    this.#upstream = upstream
    this.#breaker = breaker
    this.#watch = { breaker, live: this.#live, lastSeen: undefined, checks: 0 }
    this.health = { send: (request, sink) => this.#dispatch(request, sink, true, true) }
  }

  /** The current state of the breaker. */
  get breaker(): BreakerState {
    return this.#breaker.state
  }

  /** From turns, probes, and cwm's own calls; undefined until the first one ends. */
  get lastSeen(): Sighting | undefined {
    return this.#watch.lastSeen
  }

  /** Requests in flight, health checks not included. */
  get inFlight(): number {
    return this.#live.size - this.#watch.checks
  }

  /** As `Upstream.send`, but while the breaker is open, `onError` is called immediately with `UPSTREAM_OPEN`. */
  send(request: OutgoingRequest, sink: AnswerSink): Abort {
    const admission = this.#breaker.admit()
    if (admission === 'refuse') return refuse(sink, this.#open())
    return this.#dispatch(request, sink, admission === 'probe')
  }

  /** Fails all requests in flight, and all later ones, with this error. Returns the number of requests that were in flight. */
  end(reason: CwmError): number {
    this.#ended = reason
    const ending = this.#live.all()
    for (const answer of ending) answer.abort?.(reason)
    return ending.length
  }

  /** Closes all connections immediately. */
  close(): Promise<void> {
    return this.#upstream.close()
  }

  /** `probe`: its outcome decides about the breaker. `check`: it is a health check. */
  #dispatch(request: OutgoingRequest, sink: AnswerSink, probe: boolean, check = false): Abort {
    if (this.#ended !== undefined) return refuse(sink, this.#ended)
    const answer = new WatchedAnswer(sink, this.#watch, probe, check)
    if (check) this.#watch.checks++
    else this.#sent.value++
    this.#live.add(answer)
    const abort = this.#upstream.send(request, answer)
    answer.abort = abort
    return abort
  }

  #open(): CwmError {
    const retryAfterS = Math.max(1, Math.ceil(this.#breaker.waitMs / 1000))
    return new CwmError(
      'UPSTREAM_OPEN',
      `cwm could not connect to the upstream ${this.url} several times in a row, and retries every few seconds (setting breaker_open_ms); is the engine running?`,
      { retryAfterS },
    )
  }
}

/**
 * The answers in flight; bounded by the requests in flight. Not a `Set`: when V8 replaces a Set's table, the old table points to the new
 * one. Once one table is in the old generation, all later ones and the requests in them survive young collections. That took a quarter of a
 * request's time.
 */
class Live {
  readonly #answers: WatchedAnswer[] = []

  get size(): number {
    return this.#answers.length
  }

  all(): readonly WatchedAnswer[] {
    return [...this.#answers]
  }

  add(answer: WatchedAnswer): void {
    answer.place = this.#answers.push(answer) - 1
  }

  /** Must be called exactly once for each added answer. */
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
  /** Health checks in flight. */
  checks: number
}

class WatchedAnswer implements AnswerSink {
  abort: Abort | undefined
  /** Its index among the answers in flight. */
  place = 0
  readonly #sink: AnswerSink
  readonly #watch: Watch
  readonly #probe: boolean
  readonly #check: boolean
  #answered = false

  constructor(sink: AnswerSink, watch: Watch, probe: boolean, check: boolean) {
    this.#sink = sink
    this.#watch = watch
    this.#probe = probe
    this.#check = check
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
    this.#leave()
    this.#sink.onEnd()
  }

  onError(error: CwmError): void {
    this.#leave()
    if (!this.#answered) {
      if (isConnectionFailure(error)) {
        this.#watch.lastSeen = { ok: false, error: error.code.toLowerCase() }
        this.#watch.breaker.failed(this.#probe, error)
      } else this.#watch.breaker.undecided(this.#probe)
    }
    this.#sink.onError(error)
  }

  #leave(): void {
    this.#watch.live.delete(this)
    if (this.#check) this.#watch.checks--
  }
}

/** Reports the error to the sink. There is nothing to abort. */
function refuse(sink: AnswerSink, error: CwmError): Abort {
  sink.onError(error)
  return () => {}
}
