// The members of a body that say whose conversation it is: read for the scope and the user, and checked where the body comes in.

import type { JsonValue } from './json.ts'

/** At the top level. Their order is part of stored boundaries: add at the end. */
export const identityFields = [
  'prompt_cache_key',
  'session_id',
  'litellm_session_id',
  'safety_identifier',
  'user',
] as const

/** In `metadata`, with the same rule. */
export const identityMetadata = ['session_id', 'user_id'] as const

/** Whether the value says nothing: absent, null, or an empty text. */
export function isUnsaid(value: JsonValue | undefined): value is undefined | null | '' {
  return value === undefined || value === null || value === ''
}
