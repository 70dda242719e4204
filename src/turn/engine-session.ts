// Replaces the client's session ids on their way to the engine, where a tenant could otherwise pose as another's session
// (docs/engine-behavior.md#session-ids), or choose another's worker at a router. The client's own values still narrow the scope.

import type { IncomingHttpHeaders } from 'node:http'
import type { JsonObject } from '../base/json.ts'
import { sessionHeaders } from '../engines/router-headers.ts'
import { isMissing } from '../identity/identity-fields.ts'

/** Whether the request names a session to the engine or to a router, by body or header. */
export function namesEngineSession(headers: IncomingHttpHeaders, body: JsonObject): boolean {
  if (!isMissing(body.session_id)) return true
  for (const name in headers) if (sessionHeaders.has(name) && (headers[name] ?? '') !== '') return true
  return false
}

/** Replaces the value of each header that names a session, in place, and returns `headers` (flat). Does nothing if `session` is undefined. */
export function setEngineSession(headers: string[], session: string | undefined): string[] {
  if (session === undefined) return headers
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (sessionHeaders.has((headers[i] ?? '').toLowerCase())) headers[i + 1] = session
  }
  return headers
}
