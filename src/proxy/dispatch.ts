// One dispatch: the request goes to the upstream, its answer to the client, and one signal ends both, whoever ends first.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { CwmError } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'
import { type IncomingOptions, incomingHeaders } from '../engines/headers.ts'
import type { AnswerSink, Upstream } from '../engines/upstream.ts'
import { exposedHeaders } from '../identity/control-headers.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import { Answer, type AnswerLimits, ObservationBudget } from './answer.ts'
import type { ClientResponse } from './client-response.ts'
import type { Heartbeats } from './heartbeats.ts'
import { type InputLimits, ModelLimits } from './model-limits.ts'
import type { Note } from './note.ts'
import type { Preflights } from './preflights.ts'
import type { Route } from './routes.ts'

export interface DispatchParts {
  readonly upstream: Pick<Upstream, 'send' | 'origin'>
  readonly inputLimits: InputLimits
  /** Undefined: none are sent. */
  readonly heartbeats: Pick<Heartbeats, 'over'> | undefined
  readonly metrics: Pick<Metrics, 'modelLabel' | 'ttft' | 'upstreamErrors'>
  readonly now: () => number
}

export interface DispatchOptions {
  readonly answer: AnswerLimits
  /** Bytes of all answers kept for observation at one moment. */
  readonly maxObservedBytesInAll: number
}

/** What goes out, and who hears of its answer. */
export interface Dispatch {
  readonly headers: string[]
  readonly body: Buffer | undefined
  readonly session: LiveSession | undefined
  readonly rules: DialectRules | undefined
  /** The answer is the list of models, which gets their limits. */
  readonly models: boolean
  readonly streams: boolean
  readonly ownUsage: boolean
  readonly observed: (observation: Observation | undefined, status: number) => void
  readonly delivered: () => void
  readonly began: ((ms: number) => void) | undefined
}

export class Dispatcher {
  readonly #parts: DispatchParts
  readonly #answer: AnswerLimits
  readonly #budget: ObservationBudget
  readonly #preflights: Preflights

  constructor(parts: DispatchParts, { answer, maxObservedBytesInAll }: DispatchOptions, preflights: Preflights) {
    this.#parts = parts
    this.#answer = answer
    this.#budget = new ObservationBudget(maxObservedBytesInAll)
    this.#preflights = preflights
  }

  /** Sends the request. The answer, or its failure, goes to `client` by itself; nothing is thrown. */
  send(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route,
    client: ClientResponse,
    note: Note,
    turn: Dispatch,
  ): void {
    const { upstream, metrics, now } = this.#parts
    const dispatched = now()
    const { host } = request.headers
    const incoming: IncomingOptions = {
      upstreamOrigin: upstream.origin,
      clientOrigin: host === undefined ? undefined : `http://${host}`,
      exposed: exposedHeaders,
    }
    const answer = new Answer({
      client,
      rules: turn.rules,
      ownUsage: turn.ownUsage,
      head: request.method === 'HEAD',
      incoming: (raw) => this.#preflights.learn(request, incomingHeaders(raw, incoming)),
      hooks: {
        headers: (status) => {
          note.status = status
        },
        began: () => {
          const ms = now() - dispatched
          note.ttftMs = ms
          metrics.ttft.observe(note.route, ms / 1000, metrics.modelLabel(note.model))
          turn.began?.(ms)
        },
        observed: turn.observed,
        delivered: () => {
          note.delivered = true
          turn.delivered()
        },
        ended: ({ error }) => {
          if (error === undefined || (note.delivered === true && error.code === 'CLIENT_GONE')) return
          note.code = error.code
          note.status = error.status
          if (!request.complete) note.scope.close()
          if (isOfUpstream(error)) metrics.upstreamErrors.inc({ code: error.code.toLowerCase() })
        },
      },
      limits: this.#answer,
      budget: this.#budget,
    })
    // A page of another origin could not read an answer whose headers are not the upstream's own.
    const mayBegin = request.headers.origin === undefined
    let sink: AnswerSink = answer
    if (turn.streams) sink = this.#parts.heartbeats?.over(answer, client, mayBegin) ?? answer
    else if (turn.models) sink = new ModelLimits(answer, this.#parts.inputLimits, request.method === 'HEAD')
    if (turn.body !== undefined) turn.headers.push('content-length', String(turn.body.length))
    const abort = upstream.send(
      { method: request.method ?? 'GET', path: route.path + route.query, headers: turn.headers, body: turn.body },
      sink,
    )
    // One signal from the client to the upstream, in every phase: queued, connecting, prefill, stream.
    const stopListening = turn.session?.onEnd(() => abort(sessionEnded()))
    note.scope.onClose(() => {
      stopListening?.()
      if (!response.writableFinished) abort()
    })
  }
}

/** Not a session that was ended, a body that is too large, or cwm's own end. An answer that refuses is no failure. */
function isOfUpstream({ code }: CwmError): boolean {
  return code.startsWith('UPSTREAM_') && code !== 'UPSTREAM_REJECTED'
}

/** Answered to a turn whose session is no more. */
export function sessionEnded(): CwmError {
  return new CwmError('SESSION_ENDED', 'the session was ended; send the request again and it begins a new one', {
    param: 'x-cwm-session',
  })
}
