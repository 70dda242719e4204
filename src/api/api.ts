// REST under /cwm/: windows, sessions, health, metrics and their description. A thin face: every rule is in windows/ and sessions/.

import type { IncomingMessage } from 'node:http'
import { OpenAPIHono, type z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { CwmError, toCwmError } from '../base/errors.ts'
import { isSessionId, randomId, sessionIdRule } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { WindowRecord } from '../base/records.ts'
import { errorBody } from '../dialects/errors.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { LiveSession, SessionTracker } from '../sessions/tracker.ts'
import { promptOfTurn } from '../windows/prompt-of-turn.ts'
import type { Windows } from '../windows/windows.ts'
import {
  freezeWindow,
  type healthSchema,
  listSessions,
  listWindows,
  showHealth,
  showSession,
  showWindow,
  thawWindow,
} from './routes.ts'
import { sessionToWire, thawReceiptToWire, windowToWire } from './wire.ts'

export interface ApiParts {
  readonly windows: Windows
  readonly sessions: SessionTracker
  readonly retained: RetainedTurns
  readonly metrics: Metrics
  readonly log: Logger
  readonly version: string
  /** Who sends a request. Throws `UNAUTHORIZED`. */
  readonly identify: (request: IncomingMessage) => { readonly tenant: string; readonly apiKey: string | undefined }
  /** Throws `UNAUTHORIZED` unless the request is the operator's, or from loopback where no operator key is set. */
  readonly requireOperator: (request: IncomingMessage) => void
  /** Replaces the client's key for calls to the upstream. */
  readonly upstreamApiKey: string | undefined
  readonly health: () => Promise<z.infer<typeof healthSchema>>
}

interface Bindings {
  readonly Bindings: { readonly incoming: IncomingMessage }
}

const MAX_BODY_BYTES = 64 * 1024

/** The Hono app for everything under `/cwm/` that is not forwarded. */
export function createApi(parts: ApiParts): OpenAPIHono<Bindings> {
  const { windows, sessions, retained } = parts
  const app = new OpenAPIHono<Bindings>({
    defaultHook: (result) => {
      if (!result.success) throw invalid(result.error.issues)
    },
  })
  app.onError((thrown, c) => fail(parts, thrown, c))
  app.notFound((c) =>
    fail(
      parts,
      new CwmError('UNKNOWN_PATH', 'there is no such path under /cwm/; see /cwm/openapi.json', { param: 'path' }),
      c,
    ),
  )
  app.use(async (c, next) => {
    checkRequest(c)
    await next()
  })

  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new CwmError('BODY_TOO_LARGE', `the body is larger than ${MAX_BODY_BYTES} bytes`, { param: 'body' })
      },
    }),
  )

  const caller = (c: Context<Bindings>) => {
    const { tenant, apiKey } = parts.identify(c.env.incoming)
    return { tenant, call: { apiKey: parts.upstreamApiKey ?? apiKey } }
  }

  app.openapi(listWindows, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const page = await windows.list(caller(c).tenant, cursor === undefined ? { limit } : { limit, cursor })
    return c.json(pageToWire(page.items.map(windowToWire), page.nextCursor), 200)
  })

  app.openapi(showWindow, async (c) => {
    const { name } = c.req.valid('param')
    const { wait_ms } = c.req.valid('query')
    const { tenant } = caller(c)
    const view = wait_ms === 0 ? await windows.show(tenant, name) : await windows.showSettled(tenant, name, wait_ms)
    return c.json(windowToWire(view), 200)
  })

  app.openapi(freezeWindow, async (c) => {
    const { tenant, call } = caller(c)
    const { name, session_id, wait } = c.req.valid('json')
    const session = await requireSession(sessions, tenant, session_id)
    const turn = retained.get(tenant, session.record.id)
    if (turn === undefined) {
      throw new CwmError(
        'SESSION_EMPTY',
        `the last turn of session ${session_id} is not at hand; send its next turn with the header x-cwm-freeze: ${name}`,
        { param: 'session_id' },
      )
    }
    const reservation = await windows.reserve(tenant, name)
    const request = {
      ...promptOfTurn(turn),
      session,
      name,
      clientSalt: turn.clientSalt,
      lineage: turn.lineage,
      parent: turn.parent,
    }
    if (!wait) {
      windows.freezeLater(request, reservation, call)
      return c.json(windowToWire(await windows.show(tenant, name)), 202)
    }
    const record: WindowRecord = await windows.freeze(request, reservation, call)
    return c.json(windowToWire(record), 201)
  })

  app.openapi(thawWindow, async (c) => {
    const { tenant, call } = caller(c)
    const { name } = c.req.valid('param')
    const { session_id, to } = c.req.valid('json')
    if (to === 'l1') {
      const { foundChunks, totalChunks, ms } = await windows.prefetch(tenant, name, {
        ...call,
        signal: c.req.raw.signal,
      })
      return c.json({ window: name, to, found_chunks: foundChunks, total_chunks: totalChunks, ms }, 200)
    }
    if (session_id !== undefined && !isSessionId(session_id)) {
      throw new CwmError('INVALID_FIELD', `a session id is ${sessionIdRule}`, { param: 'session_id' })
    }
    const { signal } = c.req.raw
    const base = await windows.requireFrozen(tenant, name, signal)
    const session = await sessions.named(tenant, session_id ?? `s-${randomId()}`)
    const receipt = await windows.thaw(session, base, { ...call, signal })
    await sessions.save(session, [])
    return c.json(thawReceiptToWire(receipt), 200)
  })

  app.openapi(listSessions, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const page = await sessions.list(caller(c).tenant, cursor === undefined ? { limit } : { limit, cursor })
    return c.json(
      pageToWire(
        page.items.map((record) => sessionToWire(record)),
        page.nextCursor,
      ),
      200,
    )
  })

  app.openapi(showSession, async (c) => {
    const { tenant } = caller(c)
    const { id } = c.req.valid('param')
    const { record } = await requireSession(sessions, tenant, id)
    return c.json(sessionToWire(record, retained.get(tenant, id) !== undefined), 200)
  })

  app.openapi(showHealth, async (c) => {
    const health = await parts.health()
    return health.upstream.ok ? c.json(health, 200) : c.json(health, 503)
  })

  app.get('/cwm/metrics', async (c) => {
    parts.requireOperator(c.env.incoming)
    return c.body(await parts.metrics.text(), 200, { 'content-type': parts.metrics.contentType })
  })

  app.doc31('/cwm/openapi.json', {
    openapi: '3.1.0',
    info: {
      title: 'Context Window Manager',
      version: parts.version,
      description: 'Sessions and context windows on vLLM and LMCache. A key sees what is its own and nothing else.',
    },
    security: [{ bearer: [] }],
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  return app
}

function pageToWire<T>(data: T[], nextCursor: string | undefined): { data: T[]; next_cursor?: string } {
  return nextCursor === undefined ? { data } : { data, next_cursor: nextCursor }
}

async function requireSession(sessions: SessionTracker, tenant: string, id: string): Promise<LiveSession> {
  const session = isSessionId(id) ? await sessions.find(tenant, id) : undefined
  if (session !== undefined) return session
  throw new CwmError('SESSION_NOT_FOUND', `there is no session ${isSessionId(id) ? id : 'of that id'}`, {
    param: 'session_id',
  })
}

/** A page in a browser can send simple requests anywhere; one that changes something must be JSON and of our own origin. */
function checkRequest(c: Context<Bindings>): void {
  if (!['POST', 'PUT', 'PATCH'].includes(c.req.method)) return
  const type = c.req.header('content-type') ?? ''
  if (!/^application\/json\b/i.test(type)) {
    throw new CwmError('UNSUPPORTED_MEDIA_TYPE', 'send the body as application/json', { param: 'content-type' })
  }
  const origin = c.req.header('origin')
  const same = origin === undefined || (URL.canParse(origin) && new URL(origin).host === c.req.header('host'))
  if (!same) {
    throw new CwmError('FORBIDDEN_HOST', 'requests from pages of another origin are refused', { param: 'origin' })
  }
}

interface Issue {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
}

function invalid(issues: readonly Issue[]): CwmError {
  const first = issues[0]
  // An unknown key is named apart; the path is where it stands.
  const path = first === undefined ? [] : [...first.path, ...(first.keys ?? []).slice(0, 1)]
  const field = path.length === 0 ? 'body' : path.join('.')
  return new CwmError('INVALID_FIELD', `${field}: ${first?.message ?? 'is wrong'}`, { param: field })
}

function fail(parts: ApiParts, thrown: unknown, c: Context<Bindings>): Response {
  const error = asApiError(thrown)
  const requestId = randomId()
  if (error.code === 'INTERNAL') parts.log.error({ request: requestId, err: error.cause ?? error }, 'request failed')
  return c.newResponse(errorBody('chat', error, requestId), error.status as 400, {
    'content-type': 'application/json',
    'x-cwm-request-id': requestId,
  })
}

/** Windows name the header that a name came in; here it came in the path or the body. */
const nameHeaders = ['x-cwm-freeze', 'x-cwm-window']

/** Hono throws its own error for a body that is not JSON. */
function asApiError(thrown: unknown): CwmError {
  if (thrown instanceof CwmError) {
    if (thrown.param === undefined || !nameHeaders.includes(thrown.param)) return thrown
    return new CwmError(thrown.code, thrown.message, { param: 'name', cause: thrown.cause })
  }
  if (thrown instanceof Error && 'status' in thrown && thrown.status === 400) {
    return new CwmError('INVALID_JSON', 'the request body is not valid JSON', { param: 'body' })
  }
  return toCwmError(thrown)
}
