// Ensures that a window holds the full prompt before it is cut.

import { CwmError, clientGone } from '../base/errors.ts'
import type { Rollover } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { CallOptions } from '../engines/engine.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import type { CutFreezer } from './cut-freeze.ts'
import type { Cut, OutgoingPrompt } from './outgoing.ts'

export interface RecordParts {
  readonly cutFreezer: Pick<CutFreezer, 'currentRollover' | 'recordRollover' | 'beforeCut'>
}

/** The request that the turn comes from. */
export interface CutContext {
  readonly caller: Caller
  readonly rules: DialectRules
  readonly call: CallOptions
}

/** A turn about to be sent cut. */
export interface TurnToRecord {
  readonly session: LiveSession
  readonly outgoing: OutgoingPrompt
  readonly base: BaseWindow | undefined
  readonly cut: Cut
  readonly clientSalt: string | undefined
  /** The lineage that it is sent under. */
  readonly lineage: string
}

/**
 * Returns the window that holds the full prompt, recording one if needed. Throws if it cannot be stored; the turn must then not be
 * dispatched.
 */
export async function ensureRecorded(
  { cutFreezer }: RecordParts,
  { caller, rules: { dialect }, call }: CutContext,
  { session, outgoing, base, cut, clientSalt, lineage }: TurnToRecord,
): Promise<Rollover> {
  const { digest, dropped } = cut
  if (call.signal?.aborted === true) throw clientGone('its request was dispatched')
  const known = await cutFreezer.currentRollover(session)
  if (known?.cut === digest) return known
  const held = base?.prompt.messages.length ?? 0
  if (base?.isDeleted === false && dropped.every((i) => i < held)) {
    return cutFreezer.recordRollover(session, cut, base.record.name)
  }
  if (session.temporary) {
    throw new CwmError(
      'STORE_UNAVAILABLE',
      'the turn does not fit, and cannot be cut because the store cannot keep the full prompt',
    )
  }
  const { model, messages, shaping } = outgoing
  const turn = {
    session,
    prompt: { dialect, model, messages, shaping },
    clientSalt,
    lineage,
    parent: base?.record.name,
    cut: { digest, dropped },
    nearLimit: caller.policy.nearLimit,
    sharer: caller.sharer,
  }
  return await cutFreezer.beforeCut(turn, call)
}
