// The HTTP side of one turn: the headers that tell of it, and the way of its answer to the client.

import type { DialectRules } from '../dialects/dialect.ts'
import type { AnswerSink } from '../engines/engine.ts'
import { contextHeader } from '../identity/control-headers.ts'
import type { RunningTurn } from '../turn/running-turn.ts'
import { isDegraded, type Turn } from '../turn/turn.ts'
import type { TurnSink } from '../turn/turn-input.ts'
import type { ClientAnswers } from './client-answers.ts'
import type { ClientResponse } from './client-response.ts'
import type { Exchange } from './exchange.ts'

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
    const { client, note } = this.#exchange
    note.session = turn.session.record.id
    if (isDegraded(turn)) client.set('x-cwm-degraded', 'store')
  }

  begin(running: RunningTurn): AnswerSink {
    setHeaders(this.#exchange.client, running)
    this.#exchange.response.once('finish', () => running.delivered())
    return this.#answers.ofTurn(this.#exchange, { running, rules: this.#rules, streams: this.#streams })
  }
}

/** All that is known of a turn when it is dispatched. */
function setHeaders(client: ClientResponse, { turn, freezes }: RunningTurn): void {
  const { session, base, restored, prompt } = turn
  const { record } = session
  client.set('x-cwm-session', record.id)
  client.set('x-cwm-window', base?.record.name)
  if (restored !== undefined && restored !== null) client.set('x-cwm-restored', String(restored))
  if (freezes) client.promise('x-cwm-freeze', 'pending')
  client.set('x-cwm-context', contextHeader(record))
  client.set('x-cwm-rollover', prompt.rollover?.window)
  // A stream's headers were out before anybody could know.
  if (record.truncation?.streamed === true) client.set('x-cwm-truncated', 'context; turn=previous')
}
