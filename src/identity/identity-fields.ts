// The body fields that identify a conversation or its user. They determine scope and user, and are validated when the body arrives.

import type { JsonValue } from '../base/json.ts'

/** Top-level fields. Their order is part of stored boundaries: append only. */
export const identityFields = [
  'prompt_cache_key',
  'session_id',
  'litellm_session_id',
  'safety_identifier',
  'user',
] as const

/** Fields of `metadata`. Append only, too. */
export const identityMetadata = ['session_id', 'user_id'] as const

/** Whether the value identifies nothing: absent, null, or an empty string. */
export function isMissing(value: JsonValue | undefined): value is undefined | null | '' {
  return value === undefined || value === null || value === ''
}
