// The body fields that say whose conversation a request belongs to. They decide scope and user, and are checked when the body arrives.

import type { JsonValue } from '../base/json.ts'

/** At the top level. Their order is part of stored boundaries: add at the end. */
export const identityFields = [
  'prompt_cache_key',
  'session_id',
  'litellm_session_id',
  'safety_identifier',
  'user',
] as const

/** In `metadata`; the same rule applies. */
export const identityMetadata = ['session_id', 'user_id'] as const

/** Whether the value names nobody: absent, null, or an empty string. */
export function isMissing(value: JsonValue | undefined): value is undefined | null | '' {
  return value === undefined || value === null || value === ''
}
