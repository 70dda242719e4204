// A turn from its dispatch on. Its session is updated when the answer is complete, stored when the client has it, and the announcement is
// withdrawn if the client never gets it. What other parts do with a turn: observer.ts.

import type { BackgroundSlots } from '../admission/background.ts'
import type { BackgroundClaim } from '../admission/background-claim.ts'
import { toCwmError } from '../base/errors.ts'
import type { EventSink } from '../base/events.ts'
import type { JsonValue } from '../base/json.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { SessionRecord, Truncation, Usage, WindowRecord } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'
import { type ReplyBoundary, windowScopedDigest } from '../identity/chain.ts'
import { contextTokens } from '../limits/context-used.ts'
import { isTruncated } from '../limits/truncation.ts'
import type { RetainedTurn } from '../sessions/retained.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { NameReservation } from '../windows/name-reservations.ts'
import { readTurnPrompt } from '../windows/turn-prompt.ts'
import type { Windows } from '../windows/windows.ts'
import type { AnsweredTurn, DeliveredTurn, TurnObserver } from './observer.ts'
import type { StoredResponses } from './stored-responses.ts'
import type { Turn } from './turn.ts'

export interface RunningParts {
  readonly sessions: SessionTracker
  readonly responses: StoredResponses
  readonly windows: Windows
  /** For freezes that the client requested: they begin when it has its answer. */
  readonly freezeSlots: Pick<BackgroundSlots, 'claim' | 'checkRoom'>
  /** Notified in this order. */
  readonly observers: readonly TurnObserver[]
  readonly events: EventSink
  readonly log: Logger
  readonly metrics: Metrics
  readonly now: () => number
}

/** Facts for the headers of an answer, if those are not sent yet. */
export interface AnswerFacts {
  readonly usage: Usage | undefined
  /** Whether the context limit cut it. */
  readonly truncated: boolean
}

const nothing: AnswerFacts = { usage: undefined, truncated: false }

/** `answered` comes before `delivered`; `closed` ends it either way. */
export class RunningTurn {
  readonly #parts: RunningParts
  readonly turn: Turn
  readonly #rules: DialectRules
  readonly #reservation: NameReservation | undefined
  readonly #caller: Caller
  /** The session's record at dispatch. */
  readonly #before: SessionRecord
  /** Undefined until a complete answer with status 200 was read. */
  #read: ReadAnswer | undefined
  /** The announced boundaries of a complete answer. */
  #boundaries: readonly ReplyBoundary[] = []
  /** A complete answer with status 200 arrived, read or not. Its headers said that the freeze is pending. */
  #answered = false
  #done = false

  constructor(
    parts: RunningParts,
    turn: Turn,
    rules: DialectRules,
    reservation: NameReservation | undefined,
    caller: Caller,
  ) {
    this.#parts = parts
    this.turn = turn
    this.#rules = rules
    this.#reservation = reservation
    this.#caller = caller
    this.#before = turn.session.record
  }

  /** Whether the client requested a freeze of this turn. */
  get freezes(): boolean {
    return this.#reservation !== undefined
  }

  /** The first byte of a stream arrived, `ms` after the dispatch. */
  began(ms: number): void {
    for (const observer of this.#parts.observers) observer.began?.(this.#caller, ms)
  }

  /**
   * The answer is complete, and its last bytes are not sent yet: the next turn may follow them at once. `streamed`: its headers are sent.
   * Returns what the headers can still report.
   */
  answered(observation: Observation | undefined, status: number, streamed: boolean): AnswerFacts {
    const { metrics, observers } = this.#parts
    if (status !== 200) return nothing
    this.#answered = true
    if (observation === undefined) {
      metrics.unobserved.inc()
      return nothing
    }
    const usage = this.#usageOf(observation)
    const read = this.#readOf(observation, usage)
    this.#read = read
    if (observation.complete) this.#announce(read)
    const truncated = this.#updateRecord(observation, usage, streamed)
    if (usage !== undefined) this.#count(usage)
    for (const observer of observers) observer.answered?.(read)
    return { usage, truncated }
  }

  /** The last byte, or the event that ends the stream, was written to the client's socket. The turn now counts as delivered. */
  delivered(): void {
    if (this.#done) return
    this.#done = true
    const read = this.#read
    if (read === undefined) {
      this.#refuseFreeze(
        'the answer could not be read: it was too large (settings max_held_bytes, max_observed_bytes and max_observed_bytes_in_all) or not what its type says',
      )
      return
    }
    const { complete } = read.observation
    const retained = complete ? this.#retainable(read) : undefined
    const { session } = this.turn
    if (retained !== undefined && session.record.prefixBreak !== undefined) session.change({ prefixBreak: undefined })
    const stored = this.#save(read)
    if (retained !== undefined) this.#tellDelivered(read, retained, stored)
    else if (!complete) this.#refuseFreeze('the answer was not complete')
  }

  /** The connection is closed. Without `delivered` the client did not get its answer, so nothing is recorded or frozen. */
  closed(): void {
    if (this.#done) return
    this.#parts.sessions.retract(digestsOf(this.#boundaries))
    this.#settleResponse(this.#read?.responseId)
    this.#reservation?.release()
  }

  #readOf(observation: Observation, usage: Usage | undefined): ReadAnswer {
    const { turn } = this
    const keeps = observation.complete && turn.sent.keepsResponse
    return new ReadAnswer(turn, this.#caller, this.#rules, this.#before, observation, usage, keeps)
  }

  /** Makes the new history and the response id known at once. */
  #announce(read: ReadAnswer): void {
    const { sessions, responses } = this.#parts
    const { session, origin, engine } = this.turn
    if (origin.byHistory) {
      this.#boundaries = read.boundaries()
      sessions.announce(session, digestsOf(this.#boundaries))
    }
    if (read.responseId === undefined) return
    responses.announce({ session, engineId: responses.storedAt(engine) }, read.responseId)
  }

  /** Updates the session's record. Returns whether the context limit cut the answer. */
  #updateRecord(observation: Observation, usage: Usage | undefined, streamed: boolean): boolean {
    const { session, sent } = this.turn
    const at = this.#parts.now()
    const truncation = this.#truncation(observation, at, streamed)
    const { record } = session
    // A concurrent turn's truncation stays.
    const stays = record.truncation?.at === this.#before.truncation?.at ? undefined : record.truncation
    session.change({
      lastTurnAt: at,
      turns: session.record.turns + 1,
      model: sent.model,
      dialect: this.#rules.dialect,
      ...(usage === undefined ? {} : { usage }),
      truncation: truncation ?? stays,
      ...(this.#endsCut(record) ? { rollover: undefined } : {}),
    })
    return truncation !== undefined
  }

  #count(usage: Usage): void {
    const { metrics } = this.#parts
    const model = metrics.modelLabel(this.turn.sent.model)
    metrics.promptTokens.add(usage.promptTokens, model)
    metrics.cachedTokens.add(usage.cachedTokens ?? 0, model)
    metrics.completionTokens.add(usage.completionTokens, model)
  }

  /** Whether the whole history was sent although it was cut before. Excludes side requests of the same session, which are shorter than what was cut. */
  #endsCut({ rollover }: SessionRecord): boolean {
    const { prompt } = this.turn
    return rollover !== undefined && prompt.rollover === undefined && prompt.messages > rollover.messages
  }

  #usageOf({ choices, usage }: Observation): Usage | undefined {
    if (usage === undefined || choices.length < 2) return usage
    const { maxTokens, engineLimit: limit } = this.turn.bounds
    return { ...usage, contextTokens: contextTokens({ choices, maxTokens, limit }, usage, this.#rules) }
  }

  /** Reports an answer that the context limit cut: log, metrics, event. Undefined if it was not cut. */
  #truncation(observation: Observation, at: number, streamed: boolean): Truncation | undefined {
    const { log, metrics, events } = this.#parts
    const { maxTokens, engineLimit: limit } = this.turn.bounds
    const { choices, usage } = observation
    if (usage === undefined || limit === undefined) return undefined
    if (!isTruncated({ choices, usage, maxTokens, limit }, this.#rules)) return undefined
    const { promptTokens, completionTokens } = usage
    const { tenant, id } = this.turn.session.record
    metrics.truncations.inc({ dialect: this.#rules.dialect })
    log.warn({ session: id, promptTokens, completionTokens, limit }, 'an answer was cut by the context limit')
    events.emit({
      tenant,
      kind: 'truncated',
      session: id,
      details: { prompt_tokens: promptTokens, completion_tokens: completionTokens, limit, streamed },
    })
    return { at, promptTokens, completionTokens, limit, streamed }
  }

  /** Never rejects. */
  #save({ responseId }: ReadAnswer): Promise<void> {
    const { sessions, responses, log, metrics } = this.#parts
    const { session, engine } = this.turn
    const kept = responseId === undefined ? [] : [{ id: responseId, engine: responses.storedAt(engine) }]
    const stored = sessions.save(session, this.#boundaries, kept, true).catch((thrown: unknown) => {
      metrics.storeErrors.inc()
      log.error({ session: session.record.id, err: toCwmError(thrown) }, 'turn not stored')
    })
    if (responseId !== undefined) void stored.then(() => this.#settleResponse(responseId))
    return stored
  }

  #tellDelivered(read: ReadAnswer, retained: RetainedTurn, stored: Promise<void>): void {
    const ownWindow = this.#reservation === undefined ? undefined : this.#freeze(retained, this.#reservation)
    const told: DeliveredTurn = Object.assign(read, { stored, retained, ownWindow })
    for (const observer of this.#parts.observers) observer.delivered?.(told)
  }

  /** The client was told that the freeze is pending, so its failure must be found under the window's name. */
  #refuseFreeze(reason: string): void {
    const { session, sent } = this.turn
    const { dialect, messagesField } = this.#rules
    if (this.#reservation === undefined) return
    if (!this.#answered || messagesField === undefined) {
      this.#reservation.release()
      return
    }
    this.#parts.windows.recordRefusal({ session, model: sent.model, dialect, reason }, this.#reservation)
  }

  #settleResponse(responseId: string | undefined): void {
    if (responseId !== undefined) this.#parts.responses.settle(this.turn.session, responseId)
  }

  /** The turn as retained for REST; undefined for completions, which have no messages. */
  #retainable({ observation: { choices }, usage }: ReadAnswer): RetainedTurn | undefined {
    const { base, sent } = this.turn
    const { dialect, messagesField } = this.#rules
    if (messagesField === undefined) return undefined
    const { body, clientSalt, lineage } = sent
    const reply = choices[0]?.messages ?? []
    const { name: parent, id: parentId } = base?.record ?? {}
    return { dialect, body, reply, promptTokens: usage?.promptTokens, clientSalt, lineage, parent, parentId }
  }

  /** There was room when the turn began, but the queue may have filled since. */
  #claimFreeze(): BackgroundClaim | undefined {
    try {
      return this.#parts.freezeSlots.claim(this.#caller.sharer)
    } catch (thrown) {
      this.#refuseFreeze(toCwmError(thrown).message)
      return undefined
    }
  }

  /** Freezes the turn as the client requested. */
  #freeze(turn: RetainedTurn, reservation: NameReservation): Promise<WindowRecord | undefined> | undefined {
    const { apiKey, actor } = this.#caller
    const { session } = this.turn
    const { clientSalt, lineage, parent } = turn
    const claim = this.#claimFreeze()
    if (claim === undefined) return undefined
    const request = { ...readTurnPrompt(turn), session, name: reservation.name, clientSalt, lineage, parent }
    return this.#parts.windows.freezeInBackground(request, reservation, { apiKey, actor }, claim)
  }
}

/** The turn as observers see it. */
class ReadAnswer implements AnsweredTurn {
  readonly turn: Turn
  readonly caller: Caller
  readonly rules: DialectRules
  readonly before: SessionRecord
  readonly observation: Observation
  readonly usage: Usage | undefined
  readonly responseId: string | undefined
  #boundaries: readonly ReplyBoundary[] | undefined

  constructor(
    turn: Turn,
    caller: Caller,
    rules: DialectRules,
    before: SessionRecord,
    observation: Observation,
    usage: Usage | undefined,
    keepsResponse: boolean,
  ) {
    this.turn = turn
    this.caller = caller
    this.rules = rules
    this.before = before
    this.observation = observation
    this.usage = usage
    this.responseId = keepsResponse ? observation.responseId : undefined
  }

  boundaries(): readonly ReplyBoundary[] {
    this.#boundaries ??= this.observation.choices.flatMap(({ messages }) => boundariesOf(this.turn, messages))
    return this.#boundaries
  }
}

/** Boundaries from which the next turn may continue: after the client's messages, and behind a window also after window and messages. */
function boundariesOf({ origin }: Turn, reply: readonly JsonValue[]): ReplyBoundary[] {
  const own = origin.chain?.boundary(reply)
  if (own === undefined) return []
  const whole = origin.wholeChain?.boundary(reply)
  return whole === undefined ? [own] : [own, { ...own, digest: windowScopedDigest(own.digest) }, whole]
}

function digestsOf(boundaries: readonly ReplyBoundary[]): string[] {
  return boundaries.map(({ digest }) => digest)
}
