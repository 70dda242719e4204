// What is remembered of one turn: announced when its answer is whole, kept when the client has it, taken back when it has not.

import { toCwmError } from '../base/errors.ts'
import type { EventSink } from '../base/events.ts'
import type { JsonValue } from '../base/json.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { SessionRecord, Truncation, Usage, WindowRecord } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules, Observation } from '../dialects/dialect.ts'
import { behindWindowMark, type ReplyBoundary } from '../identity/chain.ts'
import type { Timeline } from '../journal/timeline.ts'
import { upperTokens } from '../limits/size.ts'
import { isTruncated } from '../limits/truncation.ts'
import { contextTokens } from '../limits/used.ts'
import type { AutoFreezer } from '../near-limit/auto-freeze.ts'
import type { KnownSizes } from '../near-limit/sizes.ts'
import type { RecentCalls } from '../sessions/recent-calls.ts'
import type { RetainedTurn, RetainedTurns } from '../sessions/retained.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import { promptOfTurn } from '../windows/prompt-of-turn.ts'
import type { NameReservation, Windows } from '../windows/windows.ts'
import type { BreakFinder } from './break-finder.ts'
import type { StoredResponses } from './stored-responses.ts'
import type { Turn } from './turn.ts'

export interface MemoryParts {
  readonly sessions: SessionTracker
  readonly responses: StoredResponses
  readonly windows: Windows
  readonly retained: RetainedTurns
  readonly breaks: Pick<BreakFinder, 'look'>
  readonly autoFreezer: AutoFreezer
  readonly sizes: KnownSizes
  readonly calls: Pick<RecentCalls, 'note'>
  readonly timeline: Pick<Timeline, 'used'>
  readonly events: EventSink
  readonly log: Logger
  readonly metrics: Metrics
  readonly now: () => number
}

/** What an answer's headers can say of it, if they are not out yet. */
export interface Told {
  readonly usage: SessionRecord['usage']
  /** The context limit cut it. */
  readonly truncated: boolean
}

const nothing: Told = { usage: undefined, truncated: false }

/** One turn's memory. `observe` comes before `delivered`; `closed` ends it either way. */
export class TurnMemory {
  readonly #parts: MemoryParts
  readonly #turn: Turn
  readonly #rules: DialectRules
  readonly #reservation: NameReservation | undefined
  readonly #caller: Caller
  /** The session as it was when the turn was dispatched. */
  readonly #before: SessionRecord
  #boundaries: readonly ReplyBoundary[] = []
  #responseId: string | undefined
  #observation: Observation | undefined
  #usage: SessionRecord['usage']
  /** A whole answer of status 200 came, read or not: its client was told that the freeze is pending. */
  #answered = false
  #done = false

  constructor(
    parts: MemoryParts,
    turn: Turn,
    rules: DialectRules,
    reservation: NameReservation | undefined,
    caller: Caller,
  ) {
    this.#parts = parts
    this.#turn = turn
    this.#rules = rules
    this.#reservation = reservation
    this.#caller = caller
    this.#before = turn.session.record
  }

  /**
   * The whole answer is known, its last bytes are not out yet: the next turn may follow on their heels. `streamed`: its headers are.
   * Answers what of it can still be told.
   */
  observe(observation: Observation | undefined, status: number, streamed: boolean): Told {
    const { sessions, responses, metrics, now } = this.#parts
    const { session } = this.#turn
    if (status !== 200) return nothing
    this.#answered = true
    if (observation === undefined) {
      metrics.unobserved.inc()
      return nothing
    }
    this.#observation = observation
    const usage = this.#usageOf(observation)
    this.#usage = usage
    if (observation.complete) {
      // The agent may make the call before the last bytes are out.
      for (const { messages } of observation.choices)
        this.#parts.calls.note(this.#caller.tenant, session.record.id, messages.flatMap(this.#rules.toolCalls))
      if (this.#turn.byHistory) {
        this.#boundaries = observation.choices.flatMap(({ messages }) => this.#boundariesOf(messages))
        sessions.announce(session, digestsOf(this.#boundaries))
      }
      if (this.#turn.keepsResponse) this.#responseId = observation.responseId
      if (this.#responseId !== undefined) responses.announce(session, this.#responseId)
    }
    const at = now()
    const truncation = this.#truncation(observation, at, streamed)
    const { record } = session
    // Of a turn that ran beside this one nothing is taken back.
    const stays = record.truncation?.at === this.#before.truncation?.at ? undefined : record.truncation
    session.change({
      lastTurnAt: at,
      turns: session.record.turns + 1,
      model: this.#turn.model,
      dialect: this.#rules.dialect,
      ...(usage === undefined ? {} : { usage }),
      truncation: truncation ?? stays,
      ...(this.#endsCut(record) ? { rollover: undefined } : {}),
    })
    if (usage !== undefined) {
      this.#noteSize(observation, usage)
      const model = metrics.modelLabel(this.#turn.model)
      metrics.promptTokens.add(usage.promptTokens, model)
      metrics.cachedTokens.add(usage.cachedTokens ?? 0, model)
      metrics.completionTokens.add(usage.completionTokens, model)
      this.#parts.timeline.used(this.#caller.tenant, usage.promptTokens, usage.cachedTokens)
    }
    return { usage, truncated: truncation !== undefined }
  }

  /** The history went out whole that was cut before. Not an aside under the same name, which is shorter than what was left out. */
  #endsCut({ rollover }: SessionRecord): boolean {
    return rollover !== undefined && this.#turn.rollover === undefined && this.#turn.messages > rollover.messages
  }

  #usageOf({ choices, usage }: Observation): Usage | undefined {
    if (usage === undefined || choices.length < 2) return usage
    const { maxTokens, engineLimit: limit } = this.#turn
    return { ...usage, contextTokens: contextTokens({ choices, maxTokens, limit }, usage, this.#rules) }
  }

  /** Tells of an answer that the context limit cut, wherever one listens; undefined when it did not. */
  #truncation(observation: Observation, at: number, streamed: boolean): Truncation | undefined {
    const { log, metrics, events } = this.#parts
    const { session, maxTokens, engineLimit: limit } = this.#turn
    const { choices, usage } = observation
    if (usage === undefined || limit === undefined) return undefined
    if (!isTruncated({ choices, usage, maxTokens, limit }, this.#rules)) return undefined
    const { promptTokens, completionTokens } = usage
    const { tenant, id } = session.record
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

  /** What the next turn of this history is measured from. */
  #noteSize({ choices }: Observation, { promptTokens }: Usage): void {
    const { sizes } = this.#parts
    const { shape } = this.#turn
    if (shape === undefined) return
    const replies = choices.map(({ messages }) => upperTokens({ messages, shaping: {} }))
    const boundaries = choices.flatMap(({ messages }) => this.#boundariesOf(messages))
    sizes.note(digestsOf(boundaries), { tokens: promptTokens + Math.max(0, ...replies), shape })
  }

  /** The last byte went to the client's socket, or the event that ends its stream: the turn is history. */
  delivered(): void {
    if (this.#done) return
    this.#done = true
    const { sessions, log, metrics } = this.#parts
    const { session } = this.#turn
    if (this.#observation === undefined) {
      this.#refuseFreeze(
        'the answer could not be read: it was too large (settings max_held_bytes, max_observed_bytes and max_observed_bytes_in_all) or not what its type says',
      )
      return
    }
    const turn = this.#observation.complete ? this.#retainable(this.#observation) : undefined
    if (turn !== undefined && session.record.prefixBreak !== undefined) session.change({ prefixBreak: undefined })
    const stored = sessions
      .save(session, this.#boundaries, this.#responseId === undefined ? [] : [this.#responseId], true)
      .catch((thrown: unknown) => {
        metrics.storeErrors.inc()
        log.error({ session: session.record.id, err: toCwmError(thrown) }, 'turn not stored')
      })
    if (this.#responseId !== undefined) void stored.then(() => this.#settleResponse())
    if (turn !== undefined) this.#keep(turn, stored, this.#look(turn, stored, this.#observation))
    else if (!this.#observation.complete) this.#refuseFreeze('the answer was not complete')
  }

  /** The client was told that the freeze is pending: what became of it must be found under the name. */
  #refuseFreeze(reason: string): void {
    const { session, model } = this.#turn
    const { dialect, messagesField } = this.#rules
    if (this.#reservation === undefined) return
    if (!this.#answered || messagesField === undefined) {
      this.#reservation.release()
      return
    }
    this.#parts.windows.refuseLater({ session, model, dialect, reason }, this.#reservation)
  }

  /** The connection is closed. Without `delivered` the client has not got its answer: nobody's history, and not frozen. */
  closed(): void {
    if (this.#done) return
    this.#parts.sessions.retract(digestsOf(this.#boundaries))
    this.#settleResponse()
    this.#reservation?.release()
  }

  #settleResponse(): void {
    if (this.#responseId !== undefined) this.#parts.responses.settle(this.#turn.session, this.#responseId)
  }

  /** Where the next turn may begin: after the client's own words, and after the whole when a window stands before them. */
  #boundariesOf(reply: readonly JsonValue[]): ReplyBoundary[] {
    const { chain, wholeChain } = this.#turn
    const own = chain?.boundary(reply)
    if (own === undefined) return []
    const whole = wholeChain?.boundary(reply)
    return whole === undefined ? [own] : [own, { ...own, digest: behindWindowMark(own.digest) }, whole]
  }

  /** As it is kept for REST; undefined for completions, which have no messages. */
  #retainable({ choices }: Observation): RetainedTurn | undefined {
    const { body, clientSalt, lineage, base } = this.#turn
    const { dialect, messagesField } = this.#rules
    if (messagesField === undefined) return undefined
    const reply = choices[0]?.messages ?? []
    const promptTokens = this.#usage?.promptTokens
    return { dialect, body, reply, promptTokens, clientSalt, lineage, parent: base?.record.name }
  }

  /** Why it was cold, if it was; before it takes the last turn's place. */
  #look(turn: RetainedTurn, stored: Promise<void>, { choices }: Observation): Promise<unknown> {
    const { session, found, scope, hasHistory, clientIndex, rollover } = this.#turn
    return this.#parts.breaks.look({
      session,
      before: this.#before,
      turn,
      stored,
      usage: this.#usage,
      answers: choices.length,
      found,
      scope,
      hasHistory,
      cut: rollover?.cut,
      clientIndex,
    })
  }

  /** `looked`: the last turn is no longer needed. */
  #keep(turn: RetainedTurn, stored: Promise<void>, looked: Promise<unknown>): void {
    const { retained, autoFreezer } = this.#parts
    const { session } = this.#turn
    const { tenant, id } = session.record
    const { apiKey, policy } = this.#caller
    retained.keep(tenant, id, turn, [stored, looked])
    const ownWindow = this.#reservation && this.#freeze(turn, this.#reservation)
    const finished = { session, turn, usage: this.#usage, nearLimit: policy.nearLimit, ownWindow }
    if (autoFreezer.isFor(finished)) void stored.then(() => autoFreezer.afterTurn(finished, { apiKey }))
  }

  /** As the client has asked. */
  #freeze(turn: RetainedTurn, reservation: NameReservation): Promise<WindowRecord | undefined> {
    const { apiKey, actor } = this.#caller
    const { session } = this.#turn
    const { clientSalt, lineage, parent } = turn
    const request = { ...promptOfTurn(turn), session, name: reservation.name, clientSalt, lineage, parent }
    return this.#parts.windows.freezeLater(request, reservation, { apiKey, actor })
  }
}

function digestsOf(boundaries: readonly ReplyBoundary[]): string[] {
  return boundaries.map(({ digest }) => digest)
}
