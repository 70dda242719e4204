// Fields of bodies and messages, read as the engine reads them.

import { CwmError } from '../base/errors.ts'
import type { JsonObject, JsonValue } from '../base/json.ts'

/** `messages` of chat and of Anthropic's messages. Throws `INVALID_FIELD` when it is not a list. */
export function readMessageList({ messages }: JsonObject): readonly JsonValue[] {
  if (Array.isArray(messages)) return messages
  throw new CwmError('INVALID_FIELD', '`messages` must be a list of messages', { param: 'messages' })
}

/** A message with nothing but this text, as all dialects so far have it. */
export function textMessage(role: 'system' | 'user', text: string): JsonValue {
  return { role, content: text }
}

/** Claude Code opens its system prompt with a line that changes with each request, and so do gateways that translate it. */
export const BILLING_HEADER = 'x-anthropic-billing-header'

/** A field of a JSON object as text; undefined when it is absent, null or not text. */
export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A field of a JSON object as a whole number of tokens; undefined when it is not one. 0 is a value. */
export function countOf(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** Whether vLLM takes this value of a flag for true: docs/engine-behavior.md#stream-flag. */
export function isTruthy(value: unknown): boolean {
  if (typeof value === 'string') return ['1', 'true', 't', 'yes', 'y', 'on'].includes(value.toLowerCase())
  return value === true || value === 1
}

/** The refusal of an id that an engine would follow without asking whose it is. */
export function leftWithServer(field: string, instead: string): CwmError {
  return new CwmError('NOT_SUPPORTED', `\`${field}\` is not supported; send the earlier turns in \`${instead}\``, {
    param: field,
  })
}
