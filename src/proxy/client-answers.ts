// Sends the engine's answers to the client, and updates the request record, the metrics and the turn.

import type { AnswerBudget } from '../admission/answer-budget.ts'
import type { CwmError } from '../base/errors.ts'
import type { Metrics } from '../base/metrics.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'
import { rateHeaderNames } from '../dialects/rate-headers.ts'
import type { AnswerSink, Engine } from '../engines/engine.ts'
import { type IncomingOptions, incomingHeaders } from '../engines/headers.ts'
import { exposedHeaders } from '../identity/control-headers.ts'
import type { RunningTurn } from '../turn/running-turn.ts'
import { Answer, type AnswerHooks, type AnswerLimits } from './answer.ts'
import type { Exchange } from './exchange.ts'
import type { Heartbeats } from './heartbeats.ts'
import { ModelLimits } from './model-limits.ts'
import type { Preflights } from './preflights.ts'
import { updateTurnHeaders } from './turn-headers.ts'
import { MeteredAnswer } from './usage-peek.ts'

/** What pages may read of an answer to a client with rate limits. */
const EXPOSED_IF_LIMITED = `${exposedHeaders}, ${rateHeaderNames}`

export interface AnswerParts {
  /** Undefined: none are sent. */
  readonly heartbeats: Pick<Heartbeats, 'over'> | undefined
  readonly metrics: Pick<Metrics, 'modelLabel' | 'ttft' | 'upstreamErrors'>
  readonly now: () => number
  readonly answerBytes: Pick<AnswerBudget, 'change'>
}

export interface ClientAnswerOptions {
  readonly answer: AnswerLimits
}

/** The turn that an answer is of. */
export interface AnsweringTurn {
  readonly running: RunningTurn
  readonly rules: DialectRules
  readonly streams: boolean
}

export class ClientAnswers {
  readonly #parts: AnswerParts
  readonly #limits: AnswerLimits
  readonly #preflights: Preflights

  constructor(parts: AnswerParts, options: ClientAnswerOptions, preflights: Preflights) {
    this.#parts = parts
    this.#limits = options.answer
    this.#preflights = preflights
  }

  /** The sink for the answer of a turn, which is dispatched now. It may begin with heartbeats. */
  ofTurn(exchange: Exchange, turn: AnsweringTurn): AnswerSink {
    const { client, request } = exchange
    const answer = this.#open(exchange, turn.running.turn.engine, turn)
    // A page of another origin could not read an answer whose headers are not the upstream's own.
    const mayBegin = request.headers.origin === undefined
    return (turn.streams ? this.#parts.heartbeats?.over(answer, client, mayBegin) : undefined) ?? answer
  }

  /** The sink for an answer that is passed on unread. */
  ofPlain(exchange: Exchange, engine: Engine): AnswerSink {
    return this.#open(exchange, engine, undefined)
  }

  /** The same for a request without a session, whose usage is looked for. */
  ofStateless(exchange: Exchange, engine: Engine): AnswerSink {
    const { entry } = exchange
    return new MeteredAnswer(this.ofPlain(exchange, engine), (usage) => {
      entry.usage = usage
      entry.charge?.settle(usage)
    })
  }

  /** The sink for the list of models, which gets their limits. */
  ofModels(exchange: Exchange, engine: Engine): AnswerSink {
    const isHead = exchange.request.method === 'HEAD'
    return new ModelLimits(this.#open(exchange, engine, undefined), (cards) => engine.models.inputLimits(cards), isHead)
  }

  #open(exchange: Exchange, engine: Engine, turn: AnsweringTurn | undefined): Answer {
    const { request, client, entry } = exchange
    const { host } = request.headers
    const clientOrigin = host === undefined ? undefined : `http://${host}`
    // The origin is read when the answer comes: the request may go to another engine than the first.
    const exposed = entry.charge === undefined ? exposedHeaders : EXPOSED_IF_LIMITED
    const incoming = (): IncomingOptions => ({ upstreamOrigin: engine.origin, clientOrigin, exposed })
    return new Answer({
      client,
      rules: turn?.rules,
      ownUsage: turn?.running.turn.sent.ownUsage === true,
      head: request.method === 'HEAD',
      incoming: (raw) => this.#preflights.learn(request, incomingHeaders(raw, incoming())),
      hooks: new AnswerReport(this.#parts, exchange, turn),
      limits: this.#limits,
      budget: this.#parts.answerBytes,
      sharer: entry.caller?.sharer ?? '',
    })
  }
}

/** Reports an answer's progress to the request record, the metrics and the turn. */
class AnswerReport implements AnswerHooks {
  readonly #parts: AnswerParts
  readonly #exchange: Exchange
  readonly #turn: AnsweringTurn | undefined
  readonly #dispatched: number

  constructor(parts: AnswerParts, exchange: Exchange, turn: AnsweringTurn | undefined) {
    this.#parts = parts
    this.#exchange = exchange
    this.#turn = turn
    this.#dispatched = parts.now()
  }

  headers(status: number): void {
    const { entry } = this.#exchange
    entry.status = status
    if (status >= 400) entry.charge?.computedNothing()
  }

  began(): void {
    const { metrics, now } = this.#parts
    const { entry } = this.#exchange
    const ms = now() - this.#dispatched
    entry.scope.trace?.began()
    entry.ttftMs = ms
    metrics.ttft.observe(entry.route, ms / 1000, metrics.modelLabel(entry.model))
    if (this.#turn?.streams === true) this.#turn.running.began(ms)
  }

  observed(observation: Observation | undefined, status: number): void {
    if (this.#turn === undefined) return
    const { running } = this.#turn
    const { client, entry } = this.#exchange
    const facts = running.answered(observation, status, client.headersSent)
    updateTurnHeaders(client, running.turn, facts)
    if (facts.usage !== undefined) entry.usage = facts.usage
    entry.charge?.settle(facts.usage)
  }

  delivered(): void {
    this.#exchange.entry.delivered = true
    this.#turn?.running.delivered()
  }

  ended({ error, events }: { readonly error?: CwmError; readonly events: number }): void {
    const { entry, request } = this.#exchange
    if (error === undefined) entry.charge?.settleUnread(events)
    else entry.charge?.failed(error, events)
    const isAsExpected = error === undefined || (entry.delivered === true && error.code === 'CLIENT_GONE')
    entry.scope.trace?.answered(isAsExpected ? undefined : error)
    if (isAsExpected) return
    entry.code = error.code
    entry.status = error.status
    if (!request.complete) entry.scope.close()
    if (isOfUpstream(error)) this.#parts.metrics.upstreamErrors.inc({ code: error.code.toLowerCase() })
  }
}

/** Not a session that was ended, a body that is too large, or cwm's own end. An answer that refuses is no failure. */
function isOfUpstream({ code }: CwmError): boolean {
  return code.startsWith('UPSTREAM_') && code !== 'UPSTREAM_REJECTED'
}
