// How a request stands to the window before it: it holds the window's messages itself, or it goes behind them, or it contradicts them.

import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { BaseWindow } from './base-windows.ts'

/** `extends`: leave the messages as they are. `behind`: the window's messages go before `request.slice(skip)`. */
export type Continuation = { readonly kind: 'extends' } | { readonly kind: 'behind'; readonly skip: number }

export interface ContinuationOptions {
  /** The request's history, if it has one, is known to have been delivered in this session. */
  readonly known: boolean
  /** The session was bound to the window before this request. */
  readonly bound: boolean
}

/**
 * Decides by the identity of messages, never by counting them. Throws `WINDOW_DIVERGES` for another system prompt, and for a history
 * that is neither the window's nor this session's own: putting one behind the other would make a conversation nobody had.
 */
export function continueWindow(
  base: BaseWindow,
  body: JsonObject,
  rules: DialectRules,
  { known, bound }: ContinuationOptions,
): Continuation {
  const messages = rules.readMessages(body)
  const entries = messages.map((message) => ({ ...rules.canonical(message), system: rules.isSystem(message) }))
  checkOuterSystem(base, body, rules)
  if (
    holdsWindow(
      base,
      entries.map((entry) => entry.text),
    )
  )
    return { kind: 'extends' }

  const skip = entries.findIndex((entry) => !entry.system)
  const leading = skip === -1 ? entries.length : skip
  const windowSystem = leadingSystem(base, rules)
  if (leading > 0 && entries.slice(0, leading).some((entry, i) => entry.text !== windowSystem[i])) {
    throw diverges(base, "its system prompt differs from the window's")
  }
  const own = entries.slice(leading)
  const first = base.texts[windowSystem.length]
  const hasHistory = own.some((entry) => entry.fromModel)
  if (hasHistory && !known) {
    const resends = first !== undefined && own[0]?.text === first
    if (!bound || resends) throw diverges(base, "its history is not the window's")
  }
  // A window of a cut begins in the middle of what its session's client sends: behind it all of that would stand there twice.
  if (hasHistory && !bound && first !== undefined && own.some((entry) => entry.text === first)) {
    throw diverges(base, 'it sends again what the window holds')
  }
  return { kind: 'behind', skip: leading }
}

function checkOuterSystem(base: BaseWindow, body: JsonObject, rules: DialectRules): void {
  const system = rules.outerSystem(body)
  if (system === undefined) return
  if (rules.canonical(system).text !== base.outerSystem)
    throw diverges(base, "its system prompt differs from the window's")
}

/** Dropped messages (reasoning, say) count on neither side. */
function holdsWindow(base: BaseWindow, texts: readonly (string | undefined)[]): boolean {
  const held = texts.filter((text) => text !== undefined)
  const wanted = base.texts.filter((text) => text !== undefined)
  return held.length >= wanted.length && wanted.every((text, i) => text === held[i])
}

function leadingSystem(base: BaseWindow, rules: DialectRules): (string | undefined)[] {
  const end = base.prompt.messages.findIndex((message: JsonValue) => !rules.isSystem(message))
  return base.texts.slice(0, end === -1 ? base.texts.length : end)
}

function diverges(base: BaseWindow, why: string): CwmError {
  return new CwmError(
    'WINDOW_DIVERGES',
    `this request does not continue window ${base.record.name}: ${why}. Send only what comes after the window, or the window's messages unchanged and then more`,
    { param: 'messages' },
  )
}
