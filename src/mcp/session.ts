// The session that a call is about. A model does not know its own: when it speaks through the proxy, its reply held this very call.

import { isObject } from '../base/json.ts'
import type { ToolName } from '../base/tool-names.ts'
import type { PageJson } from '../wire/lists.ts'
import type { MatchBody, MatchJson, SessionJson } from '../wire/sessions.ts'
import { type ToolCall, ToolError } from './tool.ts'

const NAMED = 5

/** The given one, else the one session whose reply has just held the call. Throws `ToolError` with the candidates where that is not one. */
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
      ? 'several sessions have just made this call'
      : 'this call was seen in no reply that went through cwm, so the session is not known'
  throw new ToolError(`${why}: give session_id${known.length === 0 ? '' : `, e.g. ${known.join(', ')}`}`)
}
