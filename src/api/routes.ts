// REST's routes as OpenAPI knows them: path, what goes in, what comes out. The handlers are in api.ts.

import { createRoute, z } from '@hono/zod-openapi'
import { toolNames } from '../base/tool-names.ts'
import { messageDialects } from '../dialects/index.ts'
import {
  deletionSchema,
  erasureSchema,
  errorSchema,
  labels,
  sessionSchema,
  thawReceiptSchema,
  windowSchema,
} from './wire.ts'

export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  content: { 'application/json': { schema } },
  description,
})

const body = <T extends z.ZodType>(schema: T) => ({
  content: { 'application/json': { schema } },
  required: true,
})

export const failures = {
  400: json(errorSchema, 'The request is wrong; `param` names the field'),
  401: json(errorSchema, 'The key is missing or not known'),
  403: json(errorSchema, 'A quota of the tenant is used up, or the tenant may not do this'),
  404: json(errorSchema, 'There is no such session or window for this key'),
  409: json(errorSchema, 'The state of session or window does not allow it'),
  429: json(errorSchema, 'cwm is busy; retry after `Retry-After`'),
  502: json(errorSchema, 'Engine or LMCache failed'),
  503: json(errorSchema, 'The store cannot be reached'),
}

export const page = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100).openapi({ description: 'Items per page' }),
  cursor: z.string().optional().openapi({ description: 'The `next_cursor` of the page before' }),
})

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), next_cursor: z.string().optional() })

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

/** A list in a query: `tag=a&tag=b`, or one value. No more than a window can have: each is a condition of the store's query. */
const several = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  z.array(z.string()).max(32).optional(),
)
const instant = z.iso.datetime({ offset: true }).optional()

const windowQuery = page.extend({
  tag: several.openapi({ description: 'Only windows with this tag; given several times, with each of them' }),
  model: z.string().optional(),
  state: z.enum(['freezing', 'frozen', 'failed']).optional(),
  session_id: z.string().optional(),
  parent: z.string().optional().openapi({ description: 'Only windows cloned or thawed-and-frozen from this one' }),
  search: z.string().max(128).optional().openapi({ description: 'Text within the name, in either case' }),
  created_from: instant.openapi({ description: 'Made at or after this time' }),
  created_before: instant,
  sort: z.enum(['created', 'name', 'thawed', 'tokens']).default('created'),
  order: z.enum(['asc', 'desc']).default('desc'),
})

export const listWindows = createRoute({
  method: 'get',
  path: '/cwm/v1/windows',
  summary: 'List windows, newest first unless asked otherwise',
  request: { query: windowQuery },
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
        ...labels,
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
        replace: z.boolean().default(false).openapi({
          description:
            'Thaw into a session that has turns of its own: its next turn starts from this window. Without it, such a session answers 409',
        }),
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

export const changeWindow = createRoute({
  method: 'patch',
  path: '/cwm/v1/windows/{name}',
  summary: 'Change tags or note, give the pin back or ask for it again',
  request: {
    params: windowName,
    body: body(
      z.strictObject({
        ...labels,
        pinned: z.boolean().optional().openapi({ description: 'Whether LMCache shall keep its chunks' }),
      }),
    ),
  },
  responses: { 200: json(windowSchema, 'The window as it is now'), ...failures },
})

export const cloneWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/{name}/clone',
  summary: 'Give a window, or its first messages, another name',
  request: {
    params: windowName,
    body: body(
      z.strictObject({
        name: z.string().openapi({ description: "The clone's name" }),
        at: z
          .number()
          .int()
          .min(1)
          .optional()
          .openapi({ description: 'How many messages it holds; whole exchanges only. All when absent' }),
        ...labels,
      }),
    ),
  },
  responses: { 201: json(windowSchema, 'The clone: see `state` and `receipt`'), ...failures },
})

export const createWindow = createRoute({
  method: 'put',
  path: '/cwm/v1/windows/{name}',
  summary: 'Make a window from messages or a document, without a chat',
  request: {
    params: windowName,
    body: body(
      z
        .looseObject({
          model: z.string().min(1),
          dialect: z.enum(messageDialects).default('chat'),
          document: z.string().min(1).optional().openapi({ description: 'Becomes one message, instead of `messages`' }),
          document_role: z.enum(['system', 'user']).default('system'),
          cache_salt: z.string().max(128).optional(),
          ...labels,
        })
        .openapi({ description: 'Messages and shaping fields (`tools`, `system`, …) as the dialect has them' }),
    ),
  },
  responses: {
    200: json(windowSchema, 'There is a window of that name with just this content'),
    201: json(windowSchema, 'Made: see `state` and `receipt`'),
    ...failures,
  },
})

export const exportWindow = createRoute({
  method: 'get',
  path: '/cwm/v1/windows/{name}/export',
  summary: 'A window as one file: messages, ids, manifest and checksum; no KV',
  request: { params: windowName },
  responses: { 200: json(z.looseObject({ format: z.literal('cwm-window') }), 'The file'), ...failures },
})

export const importWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/import',
  summary: 'Make a window from an exported file, rebuilt and checked by this engine',
  request: {
    query: z.object({ name: z.string().optional().openapi({ description: "The file's own name when absent" }) }),
    body: body(z.looseObject({ format: z.string() })),
  },
  responses: {
    201: json(
      z.object({
        window: windowSchema,
        drift: z
          .boolean()
          .nullable()
          .describe("Template or tokenizer here give other ids than the file's; null where that could not be told"),
      }),
      'Made: see `state` and `receipt`',
    ),
    ...failures,
  },
})

export const deleteWindow = createRoute({
  method: 'delete',
  path: '/cwm/v1/windows/{name}',
  summary: 'Delete a window and what only it holds, with a receipt',
  request: { params: windowName },
  responses: { 200: json(deletionSchema, 'What was proved; `state` is `open` while something is left'), ...failures },
})

export const endSession = createRoute({
  method: 'delete',
  path: '/cwm/v1/sessions/{id}',
  summary: 'End a session and delete what only it holds, with a receipt',
  request: { params: sessionId },
  responses: { 200: json(deletionSchema, 'What was proved; `state` is `open` while something is left'), ...failures },
})

export const eraseTenant = createRoute({
  method: 'delete',
  path: '/cwm/v1/tenants/me',
  summary: 'Erase everything of this tenant',
  responses: { 200: json(erasureSchema, 'What was erased'), ...failures },
})

export const listDeletions = createRoute({
  method: 'get',
  path: '/cwm/v1/deletions',
  summary: 'List deletes, newest first',
  request: { query: page },
  responses: { 200: json(pageOf(deletionSchema), 'A page of deletes'), ...failures },
})

export const showDeletion = createRoute({
  method: 'get',
  path: '/cwm/v1/deletions/{id}',
  summary: 'What became of a delete',
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: json(deletionSchema, 'The delete'), ...failures },
})

export const listSessions = createRoute({
  method: 'get',
  path: '/cwm/v1/sessions',
  summary: 'List sessions, last turn first',
  request: { query: page },
  responses: { 200: json(pageOf(sessionSchema), 'A page of sessions'), ...failures },
})

export const matchSession = createRoute({
  method: 'post',
  path: '/cwm/v1/sessions/match',
  summary: 'Find the session whose reply has just called one of the MCP tools',
  description:
    'For agents whose tool calls reach cwm by another way than their turns: name and arguments as the model gave them.',
  request: {
    body: body(z.strictObject({ tool: z.enum(toolNames), arguments: z.looseObject({}).default({}) })),
  },
  responses: {
    200: json(
      z.object({ session_ids: z.array(z.string()) }),
      'Sessions whose replies held the call in the last ten minutes, newest first',
    ),
    ...failures,
  },
})

export const showSession = createRoute({
  method: 'get',
  path: '/cwm/v1/sessions/{id}',
  summary: 'Show a session',
  request: { params: sessionId },
  responses: { 200: json(sessionSchema, 'The session'), ...failures },
})
