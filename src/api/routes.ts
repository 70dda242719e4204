// REST's routes as OpenAPI knows them: path, what goes in, what comes out. The handlers are in api.ts.

import { createRoute, z } from '@hono/zod-openapi'
import { errorSchema, sessionSchema, thawReceiptSchema, windowSchema } from './wire.ts'

const json = <T extends z.ZodType>(schema: T, description: string) => ({
  content: { 'application/json': { schema } },
  description,
})

const body = <T extends z.ZodType>(schema: T) => ({
  content: { 'application/json': { schema } },
  required: true,
})

const failures = {
  400: json(errorSchema, 'The request is wrong; `param` names the field'),
  404: json(errorSchema, 'There is no such session or window for this key'),
  409: json(errorSchema, 'The state of session or window does not allow it'),
  502: json(errorSchema, 'Engine or LMCache failed'),
  503: json(errorSchema, 'The store cannot be reached'),
}

const page = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100).openapi({ description: 'Items per page' }),
  cursor: z.string().optional().openapi({ description: 'The `next_cursor` of the page before' }),
})

const pageOf = <T extends z.ZodType>(item: T) => z.object({ data: z.array(item), next_cursor: z.string().optional() })

const windowName = z.object({
  name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'before-refactor' }),
})
const sessionId = z.object({ id: z.string().openapi({ param: { name: 'id', in: 'path' }, example: 'support-42' }) })
const wait = z.object({
  wait_ms: z.coerce
    .number()
    .int()
    .min(0)
    .max(60_000)
    .default(0)
    .openapi({ description: 'Wait this long for a window that is pending or freezing, milliseconds' }),
})

export const listWindows = createRoute({
  method: 'get',
  path: '/cwm/v1/windows',
  summary: 'List windows, newest first',
  request: { query: page },
  responses: { 200: json(pageOf(windowSchema), 'A page of windows'), ...failures },
})

export const showWindow = createRoute({
  method: 'get',
  path: '/cwm/v1/windows/{name}',
  summary: 'Show a window and the receipt of its freeze',
  request: { params: windowName, query: wait },
  responses: { 200: json(windowSchema, 'The window'), ...failures },
})

export const freezeWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows',
  summary: 'Freeze a session under a name',
  request: {
    body: body(
      z.strictObject({
        name: z.string(),
        session_id: z.string(),
        wait: z
          .boolean()
          .default(true)
          .openapi({ description: 'Answer when the freeze is done; otherwise at once, with 202' }),
      }),
    ),
  },
  responses: {
    201: json(windowSchema, 'The freeze is done: see `state` and `receipt`'),
    202: json(windowSchema, 'The freeze goes on'),
    ...failures,
  },
})

export const thawWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/{name}/thaw',
  summary: 'Thaw a window into a session, or bring it nearer',
  request: {
    params: windowName,
    body: body(
      z.strictObject({
        session_id: z.string().optional().openapi({ description: 'The session to thaw into; a new one when absent' }),
        to: z
          .enum(['engine', 'l1'])
          .default('engine')
          .openapi({ description: "`l1` only loads the chunks into LMCache's memory and binds no session" }),
      }),
    ),
  },
  responses: {
    200: json(
      z.union([
        thawReceiptSchema,
        z.object({
          window: z.string(),
          to: z.literal('l1'),
          found_chunks: z.number().int().nullable(),
          total_chunks: z.number().int(),
          ms: z.number(),
        }),
      ]),
      'What was proved',
    ),
    ...failures,
  },
})

export const listSessions = createRoute({
  method: 'get',
  path: '/cwm/v1/sessions',
  summary: 'List sessions, last turn first',
  request: { query: page },
  responses: { 200: json(pageOf(sessionSchema), 'A page of sessions'), ...failures },
})

export const showSession = createRoute({
  method: 'get',
  path: '/cwm/v1/sessions/{id}',
  summary: 'Show a session',
  request: { params: sessionId },
  responses: { 200: json(sessionSchema, 'The session'), ...failures },
})

export const healthSchema = z
  .object({
    status: z.enum(['ok', 'degraded']),
    version: z.string(),
    store: z.string(),
    upstream: z.object({ ok: z.boolean(), error: z.string().optional() }),
    lmcache: z.object({ ok: z.boolean().nullable(), pins: z.boolean(), warnings: z.array(z.string()) }),
  })
  .openapi('Health')

export const showHealth = createRoute({
  method: 'get',
  path: '/cwm/v1/health',
  summary: 'Whether engine, LMCache and store answer',
  responses: {
    200: json(healthSchema, 'They do, or what does not'),
    503: json(healthSchema, 'The upstream does not answer'),
  },
})
