// Which paths are forwarded, and how. Only the exact paths on this list are.

import { CwmError } from '../base/errors.ts'
import { isSessionId, isWindowName, sessionIdRule, windowNameRule } from '../base/ids.ts'
import { nearestPath } from '../base/nearest-path.ts'
import type { Dialect } from '../base/records.ts'
import { dialects } from '../dialects/index.ts'
import { type ApiPath, apiPaths } from '../engines/api-paths.ts'

export interface RouteLists {
  /** Paths whose JSON body gets the salt of its session, by dialect. POST only. */
  readonly salted: Readonly<Record<string, Dialect>>
  /** Paths that are forwarded unchanged, with their methods. They must not use KV, because nothing isolates them. */
  readonly plain: Readonly<Record<string, readonly string[]>>
  /** All other paths of the engine's API, by path. */
  readonly others: Readonly<Record<string, ApiPath>>
  /** Those of kind `unsalted` that the operator allows. */
  readonly unsalted: ReadonlySet<string>
}

/** What the settings add to the table of paths. */
export interface RouteSettings {
  readonly salted?: Readonly<Record<string, Dialect>> | undefined
  readonly plain?: Readonly<Record<string, readonly string[]>> | undefined
  readonly unsalted?: readonly string[]
  /** Paths on which a router in front of the engines drops the salt. */
  readonly unsaltedByRouter?: readonly string[] | undefined
}

/** The routes of vLLM's API (src/engines/api-paths.ts) with those of the settings, which win. */
export function routesOf({ salted = {}, plain = {}, unsalted = [], unsaltedByRouter = [] }: RouteSettings): RouteLists {
  const ofKind = (kind: ApiPath['kind']) => apiPaths.filter((entry) => entry.kind === kind)
  const sessions = ofKind('session').map(({ path, dialect = '' }) => [path, dialect] as const)
  // Those that the operator allows keep their salt, in case that the router has learned to pass it on.
  const lost = new Set(unsaltedByRouter.filter((path) => !unsalted.includes(path)))
  const asRouted = (entry: ApiPath): ApiPath =>
    lost.has(entry.path) ? { ...entry, kind: 'unsalted', why: LOST_AT_ROUTER } : entry
  const others = apiPaths.filter(({ kind }) => !DIRECT.has(kind)).map((entry) => [entry.path, asRouted(entry)] as const)
  return {
    salted: { ...Object.fromEntries(sessions), ...salted },
    plain: { ...Object.fromEntries(ofKind('plain').map(({ path, methods }) => [path, methods])), ...plain },
    others: Object.fromEntries(others),
    unsalted: new Set(unsalted),
  }
}

const LOST_AT_ROUTER = 'The router of the setting affinity drops `cache_salt` on it.'

/** Kinds with lists of their own, or that are unknown to clients. */
const DIRECT: ReadonlySet<ApiPath['kind']> = new Set(['session', 'plain', 'stored', 'never'])

/** The routes without any settings. */
export const defaultRoutes: RouteLists = routesOf({})

interface RouteBase {
  /** Path at the upstream, without the query. */
  readonly path: string
  /** With its `?`, or ''. */
  readonly query: string
  /** From `/cwm/s/<id>/…`. */
  readonly session?: string
  /** From `/cwm/w/<window>/…`. */
  readonly window?: string
}

/** A turn of a conversation. */
export interface SessionRoute extends RouteBase {
  readonly kind: 'session'
  readonly dialect: Dialect
}

export interface PlainRoute extends RouteBase {
  readonly kind: 'plain'
}

/** A response that the engine stores, by its id. Forwarded for its owner only. */
export interface StoredRoute extends RouteBase {
  readonly kind: 'stored'
  readonly responseId: string
  /** The path without the id, for logs and metrics. */
  readonly label: string
}

/**
 * A request without a session. `stateless`: its JSON body gets its own salt. `guarded`: its body is checked, and gets none. `operator`:
 * forwarded with the operator's key only.
 */
export interface ApiRoute extends RouteBase {
  readonly kind: 'stateless' | 'guarded' | 'operator'
  readonly api: ApiPath
}

export type Route = SessionRoute | PlainRoute | StoredRoute | ApiRoute

const storingPaths = dialects.filter(({ stored }) => stored !== undefined).map(({ path }) => path)
const STORED = new RegExp(`^(${storingPaths.join('|')})/([A-Za-z0-9_-]{1,128})(/cancel)?$`)

/** cwm's own paths, which clients often request without `/cwm/`. Only suggested in errors, never forwarded. */
const OWN_PATHS = ['/cwm/mcp', '/cwm/metrics', '/cwm/openapi.json', '/cwm/livez', '/cwm/readyz', '/cwm/v1/health']
const MAX_HINTED = 300

/** Spellings that servers interpret differently. */
const ODD = /[%\\;]|\/\/|\/\.|^[^/]|[^\x21-\x7e]/

/**
 * Finds the route of a raw request target. Throws `INVALID_PATH` for odd spellings, `UNKNOWN_PATH`, `METHOD_NOT_ALLOWED`, or
 * `UNSALTED_PATH`. OPTIONS is forwarded on every path that tenants may use, because the engine answers CORS preflights.
 */
export function matchRoute(lists: RouteLists, method: string, target: string): Route {
  const mark = target.indexOf('?')
  const rawPath = mark === -1 ? target : target.slice(0, mark)
  const query = mark === -1 ? '' : target.slice(mark)
  if (ODD.test(rawPath) || target.includes('#')) {
    throw new CwmError(
      'INVALID_PATH',
      `this spelling of a path is refused; send it plain, unescaped and without dots${hintFor(lists, rawPath)}`,
      {
        param: 'path',
      },
    )
  }
  const { path: given, ...named } = splitPrefix(rawPath)
  const path = withoutSlash(lists, given)
  const stored = storedRoute(lists, method, path)
  if (stored !== undefined) return { ...stored, path, query, ...named }
  const dialect = Object.hasOwn(lists.salted, path) ? lists.salted[path] : undefined
  const methods = Object.hasOwn(lists.plain, path) ? lists.plain[path] : undefined
  if (dialect === undefined && methods === undefined) {
    const api = apiRoute(lists, method, path, path === rawPath || path === rawPath.slice(0, -1))
    if (api !== undefined) return { ...api, path, query, ...named }
    const message = `unknown path ${method} ${shown(rawPath)}${hintFor(lists, rawPath) || '; cwm does not forward it'}`
    throw new CwmError('UNKNOWN_PATH', message, { param: 'path' })
  }
  if (method === 'OPTIONS') return { kind: 'plain', path, query, ...named }
  if (dialect !== undefined && method === 'POST') return { kind: 'session', dialect, path, query, ...named }
  if (methods?.includes(method) === true || (method === 'HEAD' && methods?.includes('GET') === true)) {
    return { kind: 'plain', path, query, ...named }
  }
  throw wrongMethod(method, path, [...(dialect === undefined ? [] : ['POST']), ...(methods ?? [])])
}

/** Undefined if the path is not in the table. `isBare`: it has no prefix that names a session or window. */
function apiRoute({ others, unsalted }: RouteLists, method: string, path: string, isBare: boolean) {
  const api = Object.hasOwn(others, path) ? others[path] : undefined
  if (api === undefined) return undefined
  if (api.kind === 'unsalted' && !unsalted.has(path)) throw unsaltedPath(api)
  // A preflight has no key, so it cannot be the operator's, who has no sessions either.
  if (api.kind === 'operator' && (method === 'OPTIONS' || !isBare)) return undefined
  if (method === 'OPTIONS') return { kind: 'plain' as const }
  if (!api.methods.includes(method === 'HEAD' ? 'GET' : method)) throw wrongMethod(method, path, api.methods)
  if (api.kind === 'operator') return { kind: 'operator' as const, api }
  return { kind: api.kind === 'salted' ? ('stateless' as const) : ('guarded' as const), api }
}

function unsaltedPath({ path, webSocket, why = '' }: ApiPath): CwmError {
  const next =
    webSocket === true ? '' : ' An operator whose clients may share KV on it lists it in the setting unsalted_paths.'
  return new CwmError('UNSALTED_PATH', `${path} is not forwarded, because nothing isolates its KV. ${why}${next}`, {
    param: 'path',
  })
}

/** vLLM 0.32 supports GET and cancel. Undefined if the responses API is not forwarded. `render` is a separate path, not an id. */
function storedRoute(lists: RouteLists, method: string, path: string) {
  const [, list = '', responseId = '', action = ''] = STORED.exec(path) ?? []
  if (!Object.hasOwn(lists.salted, list) || Object.hasOwn(lists.others, path)) return undefined
  const allowed = action === '' ? ['GET'] : ['POST']
  if (method === 'OPTIONS') return { kind: 'plain' as const }
  if (allowed.includes(method === 'HEAD' ? 'GET' : method))
    return { kind: 'stored' as const, responseId, label: `${list}/{id}${action}` }
  throw wrongMethod(method, `${list}/{id}${action}`, allowed)
}

/** With the `Allow` header that RFC 9110, 15.5.6 requires. */
function wrongMethod(method: string, path: string, methods: readonly string[]): CwmError {
  const all = new Set([...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])
  return new CwmError('METHOD_NOT_ALLOWED', `${method} is not allowed on ${path}; use ${methods.join(' or ')}`, {
    param: 'method',
    headers: { allow: [...all].join(', ') },
  })
}

/** Removes a trailing slash, which some clients send; the engine would answer with a redirect. */
function withoutSlash({ salted, plain }: RouteLists, path: string): string {
  if (path.length < 2 || !path.endsWith('/') || Object.hasOwn(salted, path) || Object.hasOwn(plain, path)) return path
  return path.slice(0, -1)
}

/** Suggests the path that was probably meant, under the same prefix; '' if none is near. */
function hintFor({ salted, plain, others }: RouteLists, rawPath: string): string {
  const tidy = rawPath.slice(0, MAX_HINTED).replace(/\/{2,}/g, '/')
  if (ODD.test(tidy)) return ''
  const [prefix = ''] = /^\/cwm\/[sw]\/[^/]+(?=\/)/.exec(tidy) ?? []
  const own = prefix === '' ? OWN_PATHS : []
  const near = nearestPath(tidy.slice(prefix.length), [
    ...Object.keys(salted),
    ...Object.keys(plain),
    ...hinted(others),
    ...own,
  ])
  return near === undefined ? '' : `; did you mean ${prefix}${near}?`
}

/** Paths that any tenant may use, but not those below a dialect's: that one is more likely meant. */
function hinted(others: RouteLists['others']): readonly string[] {
  return Object.values(others).flatMap(({ path, kind }) =>
    kind === 'salted' && !dialects.some((rules) => path.startsWith(`${rules.path}/`)) ? [path] : [],
  )
}

function shown(path: string): string {
  return path.length > 80 ? `${path.slice(0, 80)}…` : path
}

function splitPrefix(rawPath: string): { path: string; session?: string; window?: string } {
  const match = /^\/cwm\/([sw])\/([^/]*)(\/.*)$/.exec(rawPath)
  if (match === null) return { path: rawPath }
  const [, kind, name = '', path = ''] = match
  if (kind === 's') {
    if (!isSessionId(name)) {
      throw new CwmError('INVALID_PATH', `/cwm/s/<id>: a session id must be ${sessionIdRule}`, { param: 'path' })
    }
    return { path, session: name }
  }
  if (!isWindowName(name)) {
    throw new CwmError('INVALID_PATH', `/cwm/w/<window>: a window name must be ${windowNameRule}`, { param: 'path' })
  }
  return { path, window: name }
}
