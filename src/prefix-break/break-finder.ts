// Finds out why a turn was cold, after its answer was sent, and reports it in the session, the log, the metrics and an event. Only bodies of
// cold turns are read, one turn at a time, and their content is never reported. The causes are defined in prefix-break-cause.ts.

import { LRUCache } from 'lru-cache'
import { toCwmError } from '../base/errors.ts'
import type { EventSink } from '../base/events.ts'
import { sessionKey } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { PrefixBreak, SessionRecord, Usage } from '../base/records.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { NewestSessions } from '../sessions/newest.ts'
import type { RetainedTurn, RetainedTurns } from '../sessions/retained.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { RetainedPrompt } from '../store/store-values.ts'
import { toRetainedPrompt } from '../windows/turn-prompt.ts'
import { type Explanation, expectedTokens, explainBreak, isCold } from './prefix-break-cause.ts'

export interface BreakFinderParts {
  readonly retained: Pick<RetainedTurns, 'peek' | 'find'>
  readonly newest: NewestSessions
  readonly sessions: Pick<SessionTracker, 'save'>
  readonly events: EventSink
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'prefixBreaks'>
  readonly now: () => number
}

/** A turn whose answer was delivered. */
export interface DeliveredTurn {
  readonly session: LiveSession
  /** The session's record when the turn was dispatched. */
  readonly before: SessionRecord
  readonly turn: RetainedTurn
  /** Settles once its session is stored with it, or cannot be; never rejects. */
  readonly stored: Promise<unknown>
  readonly usage: Usage | undefined
  /** Number of alternative answers that the client received. */
  readonly answers: number
  readonly found: 'named' | 'prefix' | 'response' | 'new'
  /** The scope in which its history was looked up. */
  readonly scope: string
  /** Whether the request contains a reply. */
  readonly hasHistory: boolean
  /** Where its messages were cut; undefined if they were not. */
  readonly cut: string | undefined
  /** Maps an index in the sent messages to one in the client's; undefined for messages that the client did not send. */
  readonly clientIndex: (sent: number) => number | undefined
}

/** Larger bodies are not read; the cause of their turns is `unknown`. */
const MAX_BODY_BYTES = 4 * 1024 * 1024
/** Turns that may wait to be examined; further ones are skipped. */
const MAX_WAITING = 16
/** Sessions whose last turn is remembered; other last turns are assumed to be plain. */
const MAX_NOTED = 10_000

/** Facts about a session's last turn that are not retained with it. */
interface Noted {
  readonly several: boolean
  readonly cut: string | undefined
}

type LastTurn = () => Promise<RetainedPrompt | undefined>

/** Reports why turns were cold, one after the other. */
export class BreakFinder {
  readonly #parts: BreakFinderParts
  readonly #noted = new LRUCache<string, Noted>({ max: MAX_NOTED })
  #waiting = 0
  #queue: Promise<void> = Promise.resolve()

  constructor(parts: BreakFinderParts) {
    this.#parts = parts
  }

  /** Call this before the turn replaces its session's last one. The result is reported later; nothing waits for it. */
  inspect(delivered: DeliveredTurn): void {
    const { before, turn, usage, found, answers, scope, cut } = delivered
    const { tenant, id } = before
    const key = sessionKey(tenant, id)
    const { several, cut: cutBefore } = this.#noted.get(key) ?? { several: false, cut: undefined }
    if (answers > 1 || cut !== undefined) this.#noted.set(key, { several: answers > 1, cut })
    else this.#noted.delete(key)
    const others = found === 'new' && delivered.hasHistory ? this.#parts.newest.of(scope) : []
    this.#parts.newest.record(scope, id)
    if (usage?.cachedTokens === undefined || this.#waiting >= MAX_WAITING) return
    const isReadable = turn.body.length <= MAX_BODY_BYTES
    if (found === 'new') {
      if (isReadable && others.length > 0 && isCold(usage.promptTokens, usage.cachedTokens)) {
        this.#enqueue(() => this.#explainNew(delivered, usage, others))
      }
      return
    }
    if (before.usage === undefined || cut !== cutBefore || !isComparable(delivered)) return
    const facts = { before: before.usage, now: usage, several }
    if (!isCold(expectedTokens(facts), usage.cachedTokens)) return
    if (!isReadable) {
      this.#leaveUnknown(delivered, expectedTokens(facts))
      return
    }
    const last = this.#last(tenant, id)
    this.#enqueue(() => this.#explain(delivered, { ...facts, isNew: false }, last))
  }

  /** Resolves when every turn examined so far has been reported. */
  settle(): Promise<void> {
    return this.#queue
  }

  #enqueue(work: () => Promise<void>): void {
    const { log } = this.#parts
    this.#waiting++
    this.#queue = this.#queue
      .then(work)
      .catch((thrown: unknown) => log.error({ err: toCwmError(thrown) }, 'a cold turn could not be examined'))
      .finally(() => {
        this.#waiting--
      })
  }

  /** Drops the turn, whose body is too large to be kept while it waits. */
  #leaveUnknown({ turn: _, ...delivered }: DeliveredTurn, expected: number): void {
    if (delivered.hasHistory)
      this.#enqueue(() => this.#report(delivered, { cause: 'unknown', expectedTokens: expected }))
  }

  /** Captured now and read later, because the session's next turn replaces it. */
  #last(tenant: string, id: string): LastTurn {
    const held = this.#parts.retained.peek(tenant, id)
    if (held === undefined) {
      const stored = this.#find(tenant, id)
      return () => stored
    }
    const kept = held.bodyBytes > MAX_BODY_BYTES ? undefined : held
    return async () => kept && toRetainedPrompt(await kept.read())
  }

  #find(tenant: string, id: string): Promise<RetainedPrompt | undefined> {
    const { retained, log } = this.#parts
    return retained.find(tenant, id).catch((thrown: unknown) => {
      log.error({ session: id, err: toCwmError(thrown) }, 'last turn not read')
      return undefined
    })
  }

  async #explain(
    delivered: DeliveredTurn,
    facts: Parameters<typeof explainBreak>[2],
    lastTurn: LastTurn,
  ): Promise<void> {
    const { turn, hasHistory } = delivered
    const last = await lastTurn()
    // Another proxy served the turn in between, or it is no longer retained.
    if (last === undefined || last.promptTokens !== facts.before.promptTokens) {
      if (hasHistory) await this.#report(delivered, { cause: 'unknown', expectedTokens: expectedTokens(facts) })
      return
    }
    // A window was thawed in between.
    if (last.lineage !== turn.lineage || last.parent !== turn.parent) return
    const explained = explainBreak(last, toRetainedPrompt(turn), facts)
    if (explained !== undefined) await this.#report(delivered, explained)
  }

  /** Compares with the newest related session. Sessions are read one by one, so that they are not all in memory at once. */
  async #explainNew(delivered: DeliveredTurn, now: Usage, others: readonly string[]): Promise<void> {
    const { turn } = delivered
    const prompt = toRetainedPrompt(turn)
    for (const other of others) {
      const last = await this.#last(delivered.before.tenant, other)()
      if (last?.promptTokens === undefined || last.parent !== turn.parent) continue
      const before = { promptTokens: last.promptTokens, completionTokens: 0 }
      const explained = explainBreak(last, prompt, { before, now, several: false, isNew: true })
      if (explained === undefined) continue
      await this.#report(delivered, explained)
      return
    }
  }

  async #report(delivered: Omit<DeliveredTurn, 'turn'>, { message: sent, ...explained }: Explanation): Promise<void> {
    const { events, log, metrics, now } = this.#parts
    const { before, usage, clientIndex } = delivered
    const { tenant, id } = before
    const message = sent === undefined ? undefined : clientIndex(sent)
    const found: PrefixBreak = {
      at: now(),
      ...explained,
      ...(message === undefined ? {} : { message }),
      cachedTokens: usage?.cachedTokens ?? 0,
    }
    const { cause, field, offset, cachedTokens, expectedTokens: expected } = found
    metrics.prefixBreaks.inc({ cause })
    log.info({ session: id, cause, message, field, offset, cachedTokens, expectedTokens: expected }, 'prefix broken')
    events.emit({
      tenant,
      kind: 'prefix_broken',
      session: id,
      details: {
        cause,
        message: message ?? null,
        field: field ?? null,
        offset: offset ?? null,
        cached_tokens: cachedTokens,
        expected_tokens: expected,
      },
    })
    await this.#storeResult(delivered, found)
  }

  /** Stores the result in the session's status, as long as that turn is its last. */
  async #storeResult(
    { session, before, stored }: Omit<DeliveredTurn, 'turn'>,
    prefixBreak: PrefixBreak,
  ): Promise<void> {
    const { sessions, log } = this.#parts
    const { turns, head } = session.record
    if (turns !== before.turns + 1 || head !== before.head) return
    session.change({ prefixBreak })
    await stored
    if (!session.stored || session.record.prefixBreak !== prefixBreak) return
    await sessions.save(session, [], [], true).catch((thrown: unknown) => {
      log.warn({ session: before.id, err: toCwmError(thrown) }, 'prefix break not stored')
    })
  }
}

/** Not the first turn, not the first after a thaw, and not one that overlapped with another. */
function isComparable({ session, before, found }: DeliveredTurn): boolean {
  const { record } = session
  return (
    found !== 'response' &&
    record.head === before.head &&
    record.turns === before.turns + 1 &&
    (before.thaw === undefined || before.thaw.at < before.lastTurnAt)
  )
}
