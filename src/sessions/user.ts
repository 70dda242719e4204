// The user of a tenant's app, where the request names one: by whom KV is shared in the isolation mode `user`.

import { isObject, type JsonObject } from '../base/json.ts'

/** OpenAI's `user` or its successor `safety_identifier`, Anthropic's `metadata.user_id`; undefined when none is given. */
export function userOf(body: JsonObject): string | undefined {
  const metadata = isObject(body.metadata) ? body.metadata.user_id : undefined
  for (const value of [body.safety_identifier, body.user, metadata]) {
    if (typeof value === 'string' && value !== '') return value
  }
  return undefined
}
