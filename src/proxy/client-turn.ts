// The HTTP side of a turn: its headers, and the sink that passes its answer to the client.

import type { DialectRules } from '../dialects/dialect.ts'
import type { AnswerSink } from '../engines/engine.ts'
import type { RunningTurn } from '../turn/running-turn.ts'
import { isDegraded, type Turn } from '../turn/turn.ts'
import type { TurnSink } from '../turn/turn-input.ts'
import type { ClientAnswers } from './client-answers.ts'
import type { Exchange } from './exchange.ts'
import { setTurnHeaders } from './turn-headers.ts'

export class ClientTurn implements TurnSink {
  readonly #answers: ClientAnswers
  readonly #exchange: Exchange
  readonly #rules: DialectRules
  readonly #streams: boolean

  constructor(answers: ClientAnswers, exchange: Exchange, rules: DialectRules, streams: boolean) {
    this.#answers = answers
    this.#exchange = exchange
    this.#rules = rules
    this.#streams = streams
  }

  found(turn: Turn): void {
    const { client, entry } = this.#exchange
    if (entry.charge !== undefined) client.setRates(entry.charge.headers)
    entry.session = turn.session.record.id
    if (isDegraded(turn)) client.set('x-cwm-degraded', 'store')
  }

  begin(running: RunningTurn): AnswerSink {
    setTurnHeaders(this.#exchange.client, running)
    this.#exchange.response.once('finish', () => running.delivered())
    return this.#answers.ofTurn(this.#exchange, { running, rules: this.#rules, streams: this.#streams })
  }
}
