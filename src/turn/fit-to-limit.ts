// Where a turn meets its context limit: what of it is measured, and what is recorded before a part of it is left out.

import type { Rollover } from '../base/records.ts'
import { inPhase } from '../base/request-trace.ts'
import type { Engine } from '../engines/engine.ts'
import type { Chain } from '../identity/chain.ts'
import type { TurnToRecord } from '../near-limit/ensure-recorded.ts'
import type { Cut, OutgoingPrompt } from '../near-limit/outgoing.ts'
import type { FitRequest, Fitted } from '../near-limit/overflow.ts'
import type { TurnLimits } from '../near-limit/turn-limits.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import { type BaseWindow, exactTokens } from '../windows/base-windows.ts'
import type { TurnRequest } from './turn-request.ts'

export interface LimitParts {
  readonly limits: Pick<TurnLimits, 'fit' | 'record'>
}

/** A turn before its dispatch, as far as its size depends on it. */
export interface TurnToFit {
  readonly session: LiveSession
  readonly chain: Chain | undefined
  /** A continuation has its history at the engine, where nobody can measure or cut it. */
  readonly outgoing: OutgoingPrompt | undefined
  readonly base: BaseWindow | undefined
  readonly engine: Engine
  /** What the session is held to, in tokens. */
  readonly limit: number | undefined
}

/** What the policy near the limit decides depends on the prompt's size. */
export function isMeasured({ overflow }: TurnRequest): boolean {
  return overflow !== 'pass'
}

/** What of a turn is sent. Throws what `TurnLimits.fit` throws. */
export async function fitToLimit({ limits }: LimitParts, request: TurnRequest, turn: TurnToFit): Promise<Fitted> {
  const { outgoing } = turn
  if (outgoing === undefined || !isMeasured(request)) return {}
  return await inPhase(request.trace, 'count', () => limits.fit(fitRequest(request, turn, outgoing)))
}

/** Undefined where nothing is cut. Throws what `TurnLimits.record` throws. */
export function recordIfCut(
  { limits }: LimitParts,
  request: TurnRequest,
  outgoing: OutgoingPrompt | undefined,
  cut: Cut | undefined,
  by: Omit<TurnToRecord, 'outgoing' | 'cut'>,
): Promise<Rollover> | undefined {
  return outgoing && cut && limits.record(request, { ...by, outgoing, cut })
}

function fitRequest(
  { caller, overflow: policy, rules, json, call }: TurnRequest,
  { session: { record }, chain, base, engine, limit }: TurnToFit,
  outgoing: OutgoingPrompt,
): FitRequest {
  const { nearLimit } = caller.policy
  // Its ids are the window's messages under what shapes the window: another system prompt or tools make another prompt.
  const isBehind = base !== undefined && outgoing.before > 0
  const sameShape = isBehind && JSON.stringify(base.prompt.shaping) === JSON.stringify(outgoing.shaping)
  return {
    policy,
    nearLimit,
    rules,
    json,
    outgoing,
    engine,
    limit,
    chain,
    windowTokens: sameShape ? exactTokens(base, record.thaw) : 0,
    window: record.auto?.window ?? record.baseWindow,
    call,
  }
}
