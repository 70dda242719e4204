// The observers of turns, in the order in which they are called.

import type { Timeline } from '../journal/timeline.ts'
import type { IsolationPrice } from '../ledger/isolation-price.ts'
import { upperTokens } from '../limits/upper-bound.ts'
import type { AutoFreezer } from '../near-limit/auto-freeze.ts'
import type { KnownSizes } from '../near-limit/known-sizes.ts'
import type { BreakFinder } from '../prefix-break/break-finder.ts'
import type { RecentCalls } from '../sessions/recent-calls.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { AnsweredTurn, DeliveredTurn, TurnObserver } from '../turn/observer.ts'
import type { ThawCheck } from '../turn/thaw-check.ts'

export interface ObserverParts {
  readonly timeline: Timeline
  readonly calls: RecentCalls
  readonly sizes: KnownSizes
  readonly breaks: BreakFinder
  readonly retained: RetainedTurns
  readonly autoFreezer: AutoFreezer
  readonly thawCheck: ThawCheck
  readonly isolationPrice: IsolationPrice
}

/** The break finder comes before retention: it reads the session's previous retained turn, which this turn replaces. */
export function turnObservers(parts: ObserverParts): readonly TurnObserver[] {
  const { timeline, calls, sizes, breaks, retained, autoFreezer, thawCheck, isolationPrice } = parts
  return [
    {
      began: ({ tenant }, ms) => timeline.recordFirstByte(tenant, ms),
      answered: ({ caller, usage }) => {
        if (usage !== undefined) timeline.recordUsage(caller.tenant, usage.promptTokens, usage.cachedTokens)
      },
    },
    // An agent may make the call before the last bytes are sent.
    { answered: (turn) => noteCalls(calls, turn) },
    { answered: (turn) => noteSize(sizes, turn) },
    thawCheck,
    { delivered: (turn) => priceIsolation(isolationPrice, turn) },
    { delivered: (turn) => lookForBreak(breaks, turn) },
    { delivered: (turn) => keepLast(retained, turn) },
    { delivered: (turn) => freezeIfFull(autoFreezer, turn) },
  ]
}

function noteCalls(calls: RecentCalls, { caller, turn, rules, observation }: AnsweredTurn): void {
  if (!observation.complete) return
  for (const { messages } of observation.choices) {
    calls.record(caller.tenant, turn.session.record.id, messages.flatMap(rules.toolCalls), caller.sharer)
  }
}

/** Records the size that the next turn of this history is measured from. */
function noteSize(sizes: KnownSizes, answered: AnsweredTurn): void {
  const { turn, observation, usage } = answered
  const { shape } = turn.prompt
  if (shape === undefined || usage === undefined) return
  const replies = observation.choices.map(({ messages }) => upperTokens({ messages, shaping: {} }))
  const digests = answered.boundaries().map(({ digest }) => digest)
  sizes.record(digests, { tokens: usage.promptTokens + Math.max(0, ...replies), shape })
}

function priceIsolation(price: IsolationPrice, { caller, turn, usage }: DeliveredTurn): void {
  if (turn.opening === undefined || usage === undefined) return
  const owner = { tenant: caller.tenant, key: caller.actor, model: turn.sent.model }
  price.record(owner, { ...turn.opening, usage })
}

/** Determines why the turn was cold, if it was. */
function lookForBreak(
  breaks: BreakFinder,
  { turn, before, retained, stored, usage, observation }: DeliveredTurn,
): void {
  const { session, origin, prompt } = turn
  breaks.inspect({
    session,
    before,
    turn: retained,
    stored,
    usage,
    answers: observation.choices.length,
    found: origin.found,
    scope: origin.scope,
    hasHistory: origin.hasHistory,
    cut: prompt.rollover?.cut,
    clientIndex: prompt.clientIndex,
  })
}

function keepLast(last: RetainedTurns, { caller, turn, retained, stored }: DeliveredTurn): void {
  const { tenant, id } = turn.session.record
  last.keep(tenant, id, retained, [stored], caller.sharer)
}

function freezeIfFull(
  autoFreezer: AutoFreezer,
  { turn: { session }, retained: turn, usage, caller, ownWindow, stored }: DeliveredTurn,
): void {
  const { apiKey, policy, sharer } = caller
  const finished = { session, turn, usage, nearLimit: policy.nearLimit, sharer, clientWindow: ownWindow }
  if (autoFreezer.shouldConsider(finished)) void stored.then(() => autoFreezer.afterTurn(finished, { apiKey }))
}
