// Reads fields of bodies and messages the way the engine does.

import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'

/** `messages` of chat and of Anthropic's messages. Throws `INVALID_FIELD` if it is not a list. */
export function readMessageList({ messages }: JsonObject): readonly JsonValue[] {
  if (Array.isArray(messages)) return messages
  throw new CwmError('INVALID_FIELD', '`messages` must be an array of messages', { param: 'messages' })
}

/** A message that contains only this text, in the form that all current dialects share. */
export function textMessage(role: 'system' | 'user', text: string): JsonValue {
  return { role, content: text }
}

/** Claude Code starts its system prompt with a line that changes per request, and so do gateways that translate it. */
export const BILLING_HEADER = 'x-anthropic-billing-header'

/** A string field of a JSON object; undefined if it is absent, null or not a string. */
export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A field of a JSON object as an integer number of tokens; undefined if it is not one. 0 is a value. */
export function countOf(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** Whether vLLM reads this value as a true flag: docs/engine-behavior.md#stream-flag. */
export function isTruthy(value: unknown): boolean {
  if (typeof value === 'string') return ['1', 'true', 't', 'yes', 'y', 'on'].includes(value.toLowerCase())
  return value === true || value === 1
}

/** The error for an id that an engine would resolve without checking its owner. */
export function serverStateError(field: string, instead: string): CwmError {
  return new CwmError('NOT_SUPPORTED', `\`${field}\` is not supported; send the earlier turns in \`${instead}\``, {
    param: field,
  })
}
