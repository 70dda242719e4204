// The client's own session id on its way to the engine: vLLM 0.32 reads `session_id` of a body, else the header `X-Session-ID`
// (entrypoints/generate/base/serving.py), and stamps it on its KV events (v1/core/block_pool.py). As sent, one tenant could pass for
// another's session there, so it is replaced. It still narrows the scope by what the client sent.

import type { IncomingHttpHeaders } from 'node:http'
import { isUnsaid } from '../base/identity-fields.ts'
import type { JsonObject } from '../base/json.ts'

const SESSION_HEADER = 'x-session-id'

/** Whether the request names a session to the engine, by body or header. */
export function namesEngineSession(headers: IncomingHttpHeaders, body: JsonObject): boolean {
  return !isUnsaid(body.session_id) || (headers[SESSION_HEADER] ?? '') !== ''
}

/** Replaces the header's value wherever it stands; `headers` are flat, and the caller's own to change. */
export function setEngineSession(headers: string[], session: string | undefined): string[] {
  if (session === undefined) return headers
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]
    if (name?.length === SESSION_HEADER.length && name.toLowerCase() === SESSION_HEADER) headers[i + 1] = session
  }
  return headers
}
