// The window before a turn, and how the turn continues it, so that no message appears twice in the prompt.

import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { CallOptions } from '../engines/engine.ts'
import { chainOf } from '../identity/chain.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import { type Continuation, continueWindow, diverges } from '../windows/continuation.ts'
import type { Windows } from '../windows/windows.ts'

export interface WindowBeforeParts {
  readonly sessions: Pick<SessionTracker, 'byPrefix'>
  readonly windows: Pick<Windows, 'requireFrozen' | 'baseWindowOf'>
}

interface Asked {
  readonly caller: Pick<Caller, 'tenant'>
  /** The name of the window that this request asks for. */
  readonly control: { readonly window?: string | undefined }
  readonly rules: DialectRules
  readonly json: JsonObject
  readonly call: CallOptions
}

export interface WindowBefore {
  readonly base: BaseWindow | undefined
  readonly continuation: Continuation | undefined
  /** Whether the request asks for it and the session is not bound to it yet. */
  readonly isNew: boolean
}

/**
 * Finds the window before a turn of the session, without restoring it. `known`: the request's history was delivered to the session. Throws
 * what windows and store throw, `WINDOW_MISMATCH`, and `WINDOW_DIVERGES` if the window cannot precede the request.
 */
export async function windowBefore(
  parts: WindowBeforeParts,
  { caller: { tenant }, control: { window: wanted }, rules, json, call }: Asked,
  { session, known }: { readonly session: LiveSession; readonly known: boolean },
  scope: string,
): Promise<WindowBefore> {
  const isNew = wanted !== undefined && session.record.baseWindow !== wanted
  const base = isNew
    ? await parts.windows.requireFrozen(tenant, wanted, call.signal)
    : await parts.windows.baseWindowOf(session)
  if (base === undefined) return { base, continuation: undefined, isNew }
  checkFit(base, rules, typeof json.model === 'string' ? json.model : '')
  const clientSalt = clientSaltOf(json)
  if (isNew && clientSalt !== undefined && clientSalt !== base.record.clientSalt) {
    throw new CwmError('WINDOW_MISMATCH', `window ${wanted} was frozen under another cache_salt; leave it out`, {
      param: 'cache_salt',
    })
  }
  const continuation = continueWindow(base, json, rules, { known, bound: !isNew })
  if (continuation.kind === 'behind' && continuation.repeats) {
    const own = rules.readMessages(json).slice(continuation.skip)
    // A history that was delivered behind this window may repeat what the window contains.
    if (!(await isDelivered(parts, session, base, own, rules, scope))) {
      throw diverges(base, 'it sends again what the window holds')
    }
  }
  return { base, continuation, isNew }
}

/** Whether this history was delivered to the session behind this window. */
async function isDelivered(
  { sessions }: WindowBeforeParts,
  session: LiveSession,
  { prompt }: BaseWindow,
  own: readonly JsonValue[],
  rules: DialectRules,
  scope: string,
): Promise<boolean> {
  const window = [...outerSystemOf(prompt.shaping, rules), ...prompt.messages]
  const { candidates } = chainOf(scope, [...window, ...own], rules.canonical)
  const behind = candidates.filter(({ messages }) => messages > window.length)
  const match = await sessions.byPrefix(session.record.tenant, { candidates: behind })
  return match?.kind === 'ambiguous' || (match?.kind === 'one' && match.session === session)
}

/** The client's own `cache_salt`. */
export function clientSaltOf({ cache_salt: salt }: JsonObject): string | undefined {
  return typeof salt === 'string' && salt !== '' ? salt : undefined
}

/** A system prompt outside the messages, as the beginning of the history. */
export function outerSystemOf(body: JsonObject, rules: DialectRules): readonly JsonValue[] {
  const system = rules.outerSystem(body)
  return system === undefined ? [] : [system]
}

function checkFit({ record }: BaseWindow, rules: DialectRules, model: string): void {
  if (record.dialect !== rules.dialect) {
    throw new CwmError(
      'WINDOW_MISMATCH',
      `window ${record.name} was frozen from the ${record.dialect} API; continue it there`,
      {
        param: 'x-cwm-window',
      },
    )
  }
  if (record.model !== model) {
    throw new CwmError(
      'WINDOW_MISMATCH',
      `window ${record.name} was frozen with model ${record.model}; its KV fits no other`,
      {
        param: 'model',
      },
    )
  }
}
