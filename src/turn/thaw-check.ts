// Compares the first turn after a thaw with the thaw's receipt. A receipt describes one moment: a router may send the next turn to another
// engine, and a cache may evict. The session then reports the loss, because the receipt no longer holds.

import type { EventSink } from '../base/events.ts'
import type { JsonObject } from '../base/json.ts'
import { isObject, parseJson } from '../base/json.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { ThawLoss, ThawReceipt } from '../base/records.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { AnsweredTurn, TurnObserver } from './observer.ts'

export interface ThawCheckParts {
  /** Whether a router chooses the engine without naming it. The cause of a loss is then unknown. */
  readonly behindRouter: boolean
  readonly events: EventSink
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'thawChecks'>
  readonly now: () => number
}

/** The largest block of vLLM (its CPU build's). Only whole blocks of a prompt are cached. */
const BLOCK_TOKENS = 128
/** Larger bodies are not read again; their turns get no verdict. */
const MAX_BODY_BYTES = 4 * 1024 * 1024

export class ThawCheck implements TurnObserver {
  readonly #parts: ThawCheckParts

  constructor(parts: ThawCheckParts) {
    this.#parts = parts
  }

  /** Before the session is stored with the turn, so that the finding is stored with it. */
  answered(answered: AnsweredTurn): void {
    const { before, turn, usage, observation } = answered
    const { thaw } = before
    // Not the first turn after a thaw. A continuation of a stored response has no messages to compare.
    if (thaw === undefined || thaw.at < before.lastTurnAt) return
    if (thaw.restoredTokens === null || usage?.cachedTokens === undefined || !observation.complete) return
    const { session } = turn
    if (session.record.head !== before.head || session.record.turns !== before.turns + 1) return
    const expectedTokens = Math.min(warmedTokens(thaw, turn.base?.record.receipt?.chunkSize), usage.promptTokens)
    if (usage.cachedTokens >= expectedTokens - BLOCK_TOKENS) {
      this.#parts.metrics.thawChecks.inc({ outcome: 'kept' })
      return
    }
    if (!continuesWindow(answered)) return
    const cause = this.#causeOf(thaw, turn.engine.id)
    this.#report(answered, { at: this.#parts.now(), cause, cachedTokens: usage.cachedTokens, expectedTokens })
  }

  #causeOf({ engine }: ThawReceipt, servedBy: string): ThawLoss['cause'] {
    if (engine === undefined) return 'unknown'
    if (engine !== servedBy) return 'moved'
    return this.#parts.behindRouter ? 'unknown' : 'evicted'
  }

  #report({ turn: { session }, before: { tenant, id } }: AnsweredTurn, thawLoss: ThawLoss): void {
    const { events, log, metrics } = this.#parts
    const { cause, cachedTokens, expectedTokens } = thawLoss
    session.change({ thawLoss })
    metrics.thawChecks.inc({ outcome: cause })
    log.info(
      { session: id, cause, cachedTokens, expectedTokens },
      'the first turn after a thaw did not find the KV that the thaw had warmed',
    )
    events.emit({
      tenant,
      kind: 'thaw_lost',
      session: id,
      details: { cause, cached_tokens: cachedTokens, expected_tokens: expectedTokens },
    })
  }
}

/** The tokens that a warm call leaves cached: all of them in its engine, but only whole chunks in LMCache. */
function warmedTokens({ tokens }: ThawReceipt, chunkSize: number | null | undefined): number {
  return chunkSize == null ? tokens : Math.floor(tokens / chunkSize) * chunkSize
}

/** Whether the prompt begins with what was warmed: not if it was cut, or has other tools, template arguments or another salt. */
function continuesWindow({ turn: { base, prompt, sent }, rules }: AnsweredTurn): boolean {
  if (base === undefined || prompt.rollover !== undefined || sent.clientSalt !== base.record.clientSalt) return false
  if (sent.body.length > MAX_BODY_BYTES) return false
  const body = parseJson(sent.body.toString('utf8'))
  return isObject(body) && shapeOf(body, rules) === shapeOf(base.prompt.shaping, rules)
}

/** Everything but messages that shapes a prompt, as text. */
function shapeOf(body: JsonObject, rules: DialectRules): string {
  return JSON.stringify(rules.shapingFields.map((field) => body[field] ?? null))
}
