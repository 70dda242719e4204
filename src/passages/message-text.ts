// The searchable text of a window's messages, in all dialects, with tool calls and results, but without ids, media, and signatures.

import { isObject, type JsonValue } from '../base/json.ts'
import type { DialectRules } from '../dialects/dialect.ts'

/** Fields that hold no text. `data`: encrypted reasoning, and media. */
const SKIPPED = new Set([
  'type',
  'role',
  'id',
  'call_id',
  'tool_call_id',
  'tool_use_id',
  'status',
  'phase',
  'logprobs',
  'signature',
  'encrypted_content',
  'cache_control',
  'data',
])

/** The texts of one message, each of which can be read on its own. */
export function textsOf(message: JsonValue | undefined, rules: Pick<DialectRules, 'vocabulary'>): readonly string[] {
  if (typeof message === 'string') return [message]
  if (Array.isArray(message)) return message.flatMap((part: JsonValue) => textsOf(part, rules))
  if (!isObject(message)) return []
  const { type } = message
  if (typeof type === 'string' && rules.vocabulary.mediaParts.includes(type)) return []
  return Object.entries(message).flatMap(([field, value]) => (SKIPPED.has(field) ? [] : textsOf(value, rules)))
}
