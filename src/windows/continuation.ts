// How a request relates to its base window: it includes the window's messages, continues after them, or contradicts them.

import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { BaseWindow } from './base-windows.ts'

/**
 * `extends`: leave the messages unchanged. `behind`: prepend the window's messages to `request.slice(skip)`. `repeats`: the request's history
 * contains messages of the window. They would appear in the prompt twice, unless that history was delivered behind the window.
 */
export type Continuation =
  | { readonly kind: 'extends' }
  | { readonly kind: 'behind'; readonly skip: number; readonly repeats: boolean }

export interface ContinuationOptions {
  /** The request's history, if any, is known to have been delivered in this session. */
  readonly known: boolean
  /** The session was bound to the window before this request. */
  readonly bound: boolean
}

/**
 * Compares messages by identity and never by count. Throws `WINDOW_DIVERGES` for a different system prompt, and for a history that is
 * neither the window's nor this session's: joining the two would fabricate a conversation.
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
  const hasHistory = own.some((entry) => entry.fromModel)
  if (hasHistory && !known && !bound) throw diverges(base, "its history is not the window's")
  const texts = own.map((entry) => entry.text)
  return { kind: 'behind', skip: leading, repeats: hasHistory && repeatsWindow(base, windowSystem.length, texts) }
}

/**
 * Whether a history contains the window's first message, or two consecutive messages of it. A window frozen before a cut starts in the
 * middle of what the client sends, and clients drop old messages.
 */
function repeatsWindow(base: BaseWindow, start: number, texts: readonly (string | undefined)[]): boolean {
  const held = withoutDropped(base.texts.slice(start))
  const sent = withoutDropped(texts)
  const followers = new Map<string, Set<string | undefined>>()
  for (const [i, text] of held.entries()) {
    const known = followers.get(text)
    if (known === undefined) followers.set(text, new Set([held[i + 1]]))
    else known.add(held[i + 1])
  }
  return sent.some((text, i) => {
    const next = sent[i + 1]
    return text === held[0] || (next !== undefined && followers.get(text)?.has(next) === true)
  })
}

/** Messages that have an identity. Dropped ones, such as reasoning, count on neither side. */
function withoutDropped(texts: readonly (string | undefined)[]): readonly string[] {
  return texts.filter((text) => text !== undefined)
}

function checkOuterSystem(base: BaseWindow, body: JsonObject, rules: DialectRules): void {
  const system = rules.outerSystem(body)
  if (system === undefined) return
  if (rules.canonical(system).text !== base.outerSystem)
    throw diverges(base, "its system prompt differs from the window's")
}

function holdsWindow(base: BaseWindow, texts: readonly (string | undefined)[]): boolean {
  const held = withoutDropped(texts)
  const wanted = withoutDropped(base.texts)
  return held.length >= wanted.length && wanted.every((text, i) => text === held[i])
}

function leadingSystem(base: BaseWindow, rules: DialectRules): (string | undefined)[] {
  const end = base.prompt.messages.findIndex((message: JsonValue) => !rules.isSystem(message))
  return base.texts.slice(0, end === -1 ? base.texts.length : end)
}

/** The error for a request that cannot continue the window. */
export function diverges(base: BaseWindow, why: string): CwmError {
  return new CwmError(
    'WINDOW_DIVERGES',
    `this request does not continue window ${base.record.name}: ${why}. Send only what comes after the window, or the window's messages unchanged and then more`,
    { param: 'messages' },
  )
}
