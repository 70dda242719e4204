// The answers of a simulated server, and how a path finds its handler. No sockets here.

import type { IncomingHttpHeaders } from 'node:http'
import { detailError } from './errors.ts'

export interface SimRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** The path's `:name` parts, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal
}

/** A whole answer (`json`, plain `text`, or an empty body), or a stream of encoded SSE events. */
export type Answer =
  | { readonly status: number; readonly text: string }
  | { readonly status: number; readonly json?: unknown; readonly headers?: Readonly<Record<string, string>> }
  | { readonly status: number; readonly events: AsyncIterable<string> }

export type Handler = (request: SimRequest) => Answer | Promise<Answer>

/** Handlers by `METHOD /path/:param`. */
export type Routes = Readonly<Record<string, Handler>>

/** The handler and parameters of a path. Throws FastAPI's 404, or 405 if only the method differs. */
export function findRoute(
  routes: Routes,
  method: string,
  path: string,
): { handler: Handler; params: Record<string, string> } {
  let known = false
  for (const [route, handler] of Object.entries(routes)) {
    const [routeMethod = '', pattern = ''] = route.split(' ')
    const params = matchPath(pattern, path)
    if (params === undefined) continue
    if (routeMethod === method) return { handler, params }
    known = true
  }
  throw known ? detailError(405, 'Method Not Allowed') : detailError(404, 'Not Found')
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const names = pattern.split('/')
  const parts = path.split('/')
  if (names.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [at, name] of names.entries()) {
    const part = parts[at] ?? ''
    if (name.startsWith(':')) params[name.slice(1)] = decodeURIComponent(part)
    else if (name !== part) return undefined
  }
  return params
}

/** A timestamp in the servers' format: whole seconds. */
export const nowSeconds = (): number => Math.floor(Date.now() / 1000)
