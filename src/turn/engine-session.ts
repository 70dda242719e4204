// Replaces the client's session id on its way to the engine, where a tenant could otherwise pose as another's session
// (docs/engine-behavior.md#session-ids). The client's own value still narrows the scope.

import type { IncomingHttpHeaders } from 'node:http'
import { replaceHeader } from '../base/flat-headers.ts'
import type { JsonObject } from '../base/json.ts'
import { isMissing } from '../identity/identity-fields.ts'

const SESSION_HEADER = 'x-session-id'

/** Whether the request names a session to the engine, by body or header. */
export function namesEngineSession(headers: IncomingHttpHeaders, body: JsonObject): boolean {
  return !isMissing(body.session_id) || (headers[SESSION_HEADER] ?? '') !== ''
}

/** Replaces each value of the header in place, and returns `headers` (flat). Does nothing if `session` is undefined. */
export function setEngineSession(headers: string[], session: string | undefined): string[] {
  if (session !== undefined) replaceHeader(headers, SESSION_HEADER, session)
  return headers
}
