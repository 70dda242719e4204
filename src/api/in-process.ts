// Calls REST in-process, for MCP and the dashboard: no socket, the same rules.

import type { CallRest } from '../base/call-rest.ts'
import type { Bindings } from './bindings.ts'

export type Fetch = (request: Request, env: Bindings['Bindings']) => Response | Promise<Response>

const jsonType = { 'content-type': 'application/json' }

/** Calls act as the sender of `env.incoming`. */
export function callInProcess(fetch: Fetch, env: Bindings['Bindings']): CallRest {
  return async (method, path, body, signal) => {
    const init = { method, signal, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: jsonType }) }
    const answer = await fetch(new Request(new URL(path, 'http://cwm'), init), env)
    return { status: answer.status, body: await answer.json() }
  }
}
