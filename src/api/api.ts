// REST under /cwm/: windows, sessions, health, metrics, and the OpenAPI document. A thin layer: the rules are in windows/ and sessions/.

import type { IncomingMessage } from 'node:http'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { methodNotAllowed } from 'hono/method-not-allowed'
import { matchedRoutes } from 'hono/route'
import type { Admission } from '../admission/admission.ts'
import type { ArrivingBodies } from '../admission/arriving-bodies.ts'
import type { ByteReservation } from '../admission/byte-reservation.ts'
import type { ReceiveOptions } from '../admission/read-bytes.ts'
import type { CallRest } from '../base/call-rest.ts'
import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
import type { Requester } from '../base/fair-turns.ts'
import { randomId } from '../base/ids.ts'
import type { JsonBodies } from '../base/json-bodies.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import { nearestPath } from '../base/nearest-path.ts'
import { isForeignPage } from '../base/origin.ts'
import type { RequestScope } from '../base/request-scope.ts'
import { StaticDocument } from '../base/static-document.ts'
import type { Caller } from '../base/tenants.ts'
import { openAiErrorBody } from '../dialects/errors.ts'
import type { EventLog } from '../journal/events.ts'
import type { HealthJson, ReadinessJson, SharedPart } from '../wire/health.ts'
import { type AdminHandlerParts, mountAdmin } from './admin.ts'
import { type AskHandlerParts, mountAsks } from './ask-handlers.ts'
import type { ApiCaller, Bindings } from './bindings.ts'
import { mountBulk } from './bulk-handlers.ts'
import { type EventHandlerParts, mountEvents } from './events.ts'
import { showHealth, showLiveness, showReadiness } from './health-routes.ts'
import { AnswerHolds, countAnswers } from './hold-answers.ts'
import { callInProcess } from './in-process.ts'
import { type LibraryHandlerParts, mountLibraries } from './library-handlers.ts'
import { type MessageHandlerParts, mountMessages } from './message-handlers.ts'
import { openApiText } from './openapi.ts'
import { readBody, receiveBody } from './read-body.ts'
import { ResponseScopes } from './response-scopes.ts'
import { mountSessions, type SessionHandlerParts } from './session-handlers.ts'
import { takesSlot } from './slots.ts'
import { mountUsage, type UsageHandlerParts } from './usage.ts'
import { mountWindows, type WindowHandlerParts } from './window-handlers.ts'

export interface ApiParts
  extends Omit<WindowHandlerParts, 'holds'>,
    SessionHandlerParts,
    Omit<AskHandlerParts, 'holds'>,
    LibraryHandlerParts,
    Omit<MessageHandlerParts, 'holds'>,
    AdminHandlerParts,
    EventHandlerParts,
    UsageHandlerParts {
  /** Answers a request of the Model Context Protocol. `rest` acts as its sender. */
  readonly mcp: (request: Request, rest: CallRest) => Promise<Response>
  readonly events: EventLog
  readonly metrics: Metrics
  readonly log: Logger
  readonly version: string
  /** Largest body of a request that carries the content of a window, bytes. */
  readonly maxBodyBytes: number
  /** Parses JSON bodies within limits. */
  readonly json: JsonBodies
  /** Opens a reservation for a body's bytes, which ends with the scope. */
  readonly holdBody: (sharer: string, scope: RequestScope) => ByteReservation
  readonly arriving: ArrivingBodies
  /** Opens a reservation for the bytes of an answer, which ends with the scope. `sharer`: see `Caller.sharer`. */
  readonly holdAnswer: (sharer: string, scope: RequestScope) => ByteReservation
  readonly admission: Pick<Admission, 'run' | 'enter'>
  /** Identifies the sender of a request. Throws `UNAUTHORIZED`. */
  readonly callerOf: (request: IncomingMessage) => Caller
  /** Waits until an unknown key is looked up in the store; undefined for a request that need not wait. Never rejects. */
  readonly recognize: (request: IncomingMessage) => Promise<void> | undefined
  /** Throws `UNAUTHORIZED` unless the request has the operator's key or, if none is set, comes from loopback. */
  readonly requireOperator: (request: IncomingMessage) => void
  readonly health: () => Promise<HealthJson>
  readonly readiness: (leftOut: readonly SharedPart[]) => Promise<ReadinessJson>
}

const MAX_BODY_BYTES = 64 * 1024
/** No tenant id contains a colon. */
const OPERATOR = 'operator:'
const PAGES = '/cwm/ui/'
const MCP = '/cwm/mcp'

/** The Hono app for everything under `/cwm/` that is not forwarded. */
export function createApi(parts: ApiParts): OpenAPIHono<Bindings> {
  const app = new OpenAPIHono<Bindings>({
    defaultHook: (result) => {
      if (!result.success) throw invalid(result.error.issues)
    },
  })
  app.onError((thrown, c) => fail(parts, thrown, c))
  app.notFound((c) => fail(parts, unknownPath(app, c), c))
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed: (c, methods) => {
        const allow = methods.join(', ')
        const message = `${c.req.method} is not allowed on this path; allowed: ${allow}`
        return fail(parts, new CwmError('METHOD_NOT_ALLOWED', message, { param: 'method', headers: { allow } }), c)
      },
    }),
  )
  app.use(async (c, next) => {
    checkRequest(c)
    await parts.recognize(c.env.incoming)
    await next()
  })

  const scopes = new ResponseScopes()
  const scopeOf = (c: Context<Bindings>) => scopes.of(c.env.outgoing)
  const holds = new AnswerHolds(({ incoming, outgoing }) =>
    parts.holdAnswer(sharerOf(parts, incoming), scopes.of(outgoing)),
  )
  app.use('/cwm/v1/*', countAnswers(holds))
  app.use(async (c, next) => {
    await receiveBody(c.env, receiveOptions(parts, c, scopeOf(c)))
    await next()
  })
  app.use(async (c, next) => {
    await readBody(c, parts.json, askerOf(parts, c, scopeOf(c)), c.req.path === MCP)
    await next()
  })
  // Once the body has arrived, so that a client that announces one and does not send it holds no slot.
  app.use(async (c, next) => {
    const slot = await takesSlot(c)
    if (slot === 'none') return await next()
    if (slot === 'until answered') {
      await parts.admission.enter(parts.callerOf(c.env.incoming), scopeOf(c))
      return await next()
    }
    // An error of the route becomes its answer: nothing that it throws arrives here.
    await parts.admission.run(parts.callerOf(c.env.incoming), scopeOf(c), next)
  })

  const callerOf = (c: Context<Bindings>): ApiCaller => {
    const { tenant, sharer, actor, operator, apiKey, policy } = parts.callerOf(c.env.incoming)
    const { isolation, maxSessions } = policy
    const sessionOwner = { tenant, isolation, user: undefined, ...(maxSessions === undefined ? {} : { maxSessions }) }
    return { tenant, sharer, actor, operator, policy, sessionOwner, operation: { apiKey, actor } }
  }
  mountWindows(app, { ...parts, holds }, callerOf)
  mountBulk(app, parts, callerOf)
  mountMessages(app, { ...parts, holds }, callerOf)
  mountSessions(app, parts, callerOf)
  mountAsks(app, { ...parts, holds }, callerOf)
  mountLibraries(app, parts, callerOf)
  mountAdmin(app, parts, callerOf)
  mountUsage(app, parts)
  mountEvents(app, parts)

  app.openapi(showHealth, async (c) => {
    const whole = await parts.health()
    const health = isOperator(parts, c.env.incoming) ? whole : { ...whole, engines: [] }
    return health.upstream.ok ? c.json(health, 200) : c.json(health, 503)
  })

  app.openapi(showLiveness, (c) => c.json({ status: 'live' } as const, 200))
  app.openapi(showReadiness, async (c) => {
    const readiness = await parts.readiness(c.req.valid('query').exclude)
    return readiness.status === 'ready' ? c.json(readiness, 200) : c.json(readiness, 503)
  })

  app.get('/cwm/metrics', async (c) => {
    parts.requireOperator(c.env.incoming)
    return c.body(await parts.metrics.text(), 200, { 'content-type': parts.metrics.contentType })
  })

  app.all(MCP, async (c) => {
    // Required even for calls that need no tenant, so that nothing is revealed without a key.
    parts.callerOf(c.env.incoming)
    const answer = await parts.mcp(c.req.raw, callInProcess(app.fetch, c.env))
    // The SDK's streams set keep-alive, even if this is the connection's last response. The server decides that.
    answer.headers.delete('connection')
    if (answer.status === 405 && !answer.headers.has('allow')) answer.headers.set('allow', 'POST')
    return answer
  })

  const openApi = new StaticDocument('application/json', () => openApiText(app, parts.version))
  app.get('/cwm/openapi.json', async (c) => {
    const { status, body, headers } = await openApi.answer(c.req.header('if-none-match'))
    return c.newResponse(body, status, headers)
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  return app
}

/** Whose share an answer uses. The operator has its own share when it asks for no single tenant. */
function sharerOf({ callerOf, tenantInView }: ApiParts, incoming: IncomingMessage): string {
  return tenantInView(incoming) === undefined ? OPERATOR : callerOf(incoming).sharer
}

/** Bodies that carry content may be large. They are charged to their sender, who is identified before anything is read. */
function receiveOptions(parts: ApiParts, c: Context<Bindings>, scope: RequestScope): ReceiveOptions {
  const { arriving, maxBodyBytes } = parts
  if (!carriesContent(c.req.method, c.req.path)) return { maxBytes: MAX_BODY_BYTES, arriving }
  const held = parts.holdBody(parts.callerOf(c.env.incoming).sharer, scope)
  return { maxBytes: maxBodyBytes, setting: 'max_body_bytes', held, arriving }
}

/** Only bodies with content can be large enough to be queued, so only they need a sender. */
function askerOf({ callerOf }: ApiParts, c: Context<Bindings>, scope: RequestScope): Requester {
  const sharer = carriesContent(c.req.method, c.req.path) ? callerOf(c.env.incoming).sharer : ''
  return { sharer, scope }
}

function unknownPath(app: OpenAPIHono<Bindings>, c: Context<Bindings>): CwmError {
  if (c.req.path.startsWith('/cwm/a/')) {
    const paths = 'GET /cwm/a/TAG/v1/models and POST /cwm/a/TAG/v1/chat/completions'
    return new CwmError('UNKNOWN_PATH', `unknown path; of a tag there are only ${paths}`, { param: 'path' })
  }
  const known = new Set(app.routes.map(({ path }) => path).filter((path) => !/[:*{]/.test(path)))
  const near = nearestPath(c.req.path, [...known])
  const hint = near === undefined ? '' : `did you mean ${near}? Otherwise `
  return new CwmError('UNKNOWN_PATH', `unknown path under /cwm/; ${hint}see /cwm/openapi.json`, {
    param: 'path',
  })
}

function carriesContent(method: string, path: string): boolean {
  return method === 'PUT' || (method === 'POST' && contentPaths.test(path))
}

/** Messages, or a question that may quote a document. */
const contentPaths = /^\/cwm\/(?:a\/.*|v1\/windows\/import|v1\/(?:windows\/[^/]+\/)?ask)$/

/** Browsers let any page send simple requests. So requests from other origins are rejected, and requests that change something must be JSON. */
function checkRequest(c: Context<Bindings>): void {
  if (isForeignPage(c.env.incoming.headers)) {
    throw new CwmError('FORBIDDEN_HOST', 'requests from web pages of another origin are rejected', { param: 'origin' })
  }
  if (['GET', 'HEAD', 'OPTIONS', 'DELETE'].includes(c.req.method)) return
  // The dashboard's forms are not JSON. Browsers send the origin of every posted form, which was checked above.
  if (c.req.path.startsWith(PAGES)) return
  // A request without a route changes nothing, and "unknown path" is the more helpful error.
  if (matchedRoutes(c).every(({ method }) => method === 'ALL')) return
  const type = c.req.header('content-type') ?? ''
  if (!/^application\/json\b/i.test(type)) {
    throw new CwmError('UNSUPPORTED_MEDIA_TYPE', 'send the body as application/json', { param: 'content-type' })
  }
}

interface Issue {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
}

function invalid(issues: readonly Issue[]): CwmError {
  const first = issues[0]
  // For an unknown key, the path is that of its parent, and the key is listed separately.
  const path = first === undefined ? [] : [...first.path, ...(first.keys ?? []).slice(0, 1)]
  const field = path.length === 0 ? 'body' : path.join('.')
  return new CwmError('INVALID_FIELD', `${field}: ${first?.message ?? 'is invalid'}`, { param: field })
}

function fail(parts: ApiParts, thrown: unknown, c: Context<Bindings>): Response {
  const error = asApiError(thrown, c.env.incoming)
  if (error.bound !== undefined) parts.metrics.refusedBodies.inc({ bound: error.bound })
  const requestId = randomId()
  if (error.code === 'INTERNAL') parts.log.error({ request: requestId, err: error.cause ?? error }, 'request failed')
  return c.newResponse(openAiErrorBody(error), error.status as 400, {
    'content-type': 'application/json',
    'x-cwm-request-id': requestId,
    ...(c.env.incoming.complete ? {} : { connection: 'close' }),
    ...error.answerHeaders,
  })
}

/** Converts an exception. Hono throws its own error for a body that is not JSON. */
function asApiError(thrown: unknown, incoming: IncomingMessage): CwmError {
  if (thrown instanceof CwmError) return thrown
  if (thrown instanceof Error && 'status' in thrown && thrown.status === 400) {
    return new CwmError('INVALID_JSON', 'the request body is not valid JSON', { param: 'body' })
  }
  // Node reports a departed client as an error, which would count as a failure of cwm.
  if (incoming.destroyed && !incoming.complete) {
    return clientGone('its request body was complete')
  }
  return toCwmError(thrown)
}

/** Nobody else is shown where the engines are. */
function isOperator({ requireOperator }: Pick<ApiParts, 'requireOperator'>, request: IncomingMessage): boolean {
  try {
    requireOperator(request)
    return true
  } catch {
    return false
  }
}
