// Where a conversation may be cut: after a complete exchange, so that tool calls stay with their results.

import { CwmError } from '../base/errors.ts'
import type { JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import type { DialectRules } from '../dialects/dialect.ts'

/**
 * Throws `INVALID_FIELD` unless the first `at` messages form complete exchanges: they end with the model's last message before the next
 * turn, with the leading system messages, or with the last message. The error names the nearest valid cuts.
 */
export function checkCutPoint({ messages }: Prompt, at: number, rules: DialectRules): void {
  if (isCutPoint(messages, at, rules)) return
  const cuts = messages.map((_, i) => i + 1).filter((i) => isCutPoint(messages, i, rules))
  const below = cuts.findLast((cut) => cut < at)
  const above = cuts.find((cut) => cut > at)
  const near = [below, above].filter((cut) => cut !== undefined).join(' and ')
  throw new CwmError(
    'INVALID_FIELD',
    `\`at\`: message ${at} of ${messages.length} is not the end of an exchange; the nearest ends are ${near}`,
    { param: 'at' },
  )
}

export function isCutPoint(messages: readonly JsonValue[], at: number, rules: DialectRules): boolean {
  const last = messages[at - 1]
  if (last === undefined || !Number.isInteger(at)) return false
  if (at === messages.length) return true
  const next = messages[at]
  if (rules.isSystem(last)) return next !== undefined && !rules.isSystem(next) && onlySystem(messages, at, rules)
  return (
    rules.isFromModel(last) && rules.toolCallIds(last).length === 0 && next !== undefined && !rules.isFromModel(next)
  )
}

function onlySystem(messages: readonly JsonValue[], at: number, rules: DialectRules): boolean {
  return messages.slice(0, at).every((message) => rules.isSystem(message))
}

/** Index of the first message in the model's last run. Everything before it was the prompt of that turn. */
export function lastReplyAt({ messages }: Pick<Prompt, 'messages'>, rules: DialectRules): number {
  let at = messages.length
  while (at > 0) {
    const message = messages[at - 1]
    if (message === undefined || !rules.isFromModel(message)) break
    at--
  }
  return at
}
