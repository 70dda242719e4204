// Finds the session that a tool call is about. A model does not know its session id, but if it talks through the proxy, its last reply
// contained this very call.

import { isObject } from '../base/json.ts'
import type { ToolName } from '../base/tool-names.ts'
import type { PageJson } from '../wire/lists.ts'
import type { MatchBody, MatchJson, SessionJson } from '../wire/sessions.ts'
import { type ToolCall, ToolError } from './tool.ts'

const NAMED = 5

/** Returns the given id, or the only session whose reply just contained the call. Otherwise throws `ToolError` with the candidates. */
export async function findSession(tool: ToolName, given: string | undefined, call: ToolCall): Promise<string> {
  if (given !== undefined) return given
  const body: MatchBody = { tool, arguments: isObject(call.arguments) ? call.arguments : {} }
  const { session_ids: found } = await call.ask<MatchJson>('POST', '/cwm/v1/sessions/match', body)
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  const { data } = await call.ask<PageJson<SessionJson>>('GET', `/cwm/v1/sessions?limit=${NAMED}`)
  const known = found.length > 1 ? found : data.map(({ id }) => id)
  const why =
    found.length > 1
      ? 'several sessions just made this call'
      : 'no reply that went through cwm contained this call, so its session is unknown'
  throw new ToolError(`${why}: give session_id${known.length === 0 ? '' : `, e.g. ${known.join(', ')}`}`)
}
