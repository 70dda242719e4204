// REST's routes as OpenAPI knows them: path, what goes in, what comes out. The handlers are in api.ts.

import { createRoute, z } from '@hono/zod-openapi'
import { deletionSchema, erasureSchema } from '../wire/deletions.ts'
import { errorSchema } from '../wire/error.ts'
import { pageOf, pageQuery } from '../wire/lists.ts'
import { prefetchReceiptSchema, thawReceiptSchema } from '../wire/receipts.ts'
import { matchBody, matchSchema, sessionSchema } from '../wire/sessions.ts'
import {
  changeWindowBody,
  cloneBody,
  contentBody,
  exportSchema,
  freezeBody,
  importBody,
  importQuery,
  importSchema,
  showWindowQuery,
  thawBody,
  windowListQuery,
  windowSchema,
} from '../wire/windows.ts'

export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  content: { 'application/json': { schema } },
  description,
})

export const body = <T extends z.ZodType>(schema: T) => ({
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

const windowName = z.object({
  name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'before-refactor' }),
})
const sessionId = z.object({ id: z.string().openapi({ param: { name: 'id', in: 'path' }, example: 'support-42' }) })

export const listWindows = createRoute({
  method: 'get',
  path: '/cwm/v1/windows',
  summary: 'List windows, newest first unless asked otherwise',
  request: { query: windowListQuery },
  responses: { 200: json(pageOf(windowSchema), 'A page of windows'), ...failures },
})

export const showWindow = createRoute({
  method: 'get',
  path: '/cwm/v1/windows/{name}',
  summary: 'Show a window and the receipt of its freeze',
  request: { params: windowName, query: showWindowQuery },
  responses: { 200: json(windowSchema, 'The window'), ...failures },
})

export const freezeWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows',
  summary: 'Freeze a session under a name',
  request: { body: body(freezeBody) },
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
  request: { params: windowName, body: body(thawBody) },
  responses: { 200: json(z.union([thawReceiptSchema, prefetchReceiptSchema]), 'What was proved'), ...failures },
})

export const changeWindow = createRoute({
  method: 'patch',
  path: '/cwm/v1/windows/{name}',
  summary: 'Change tags or note, give the pin back or ask for it again',
  request: { params: windowName, body: body(changeWindowBody) },
  responses: { 200: json(windowSchema, 'The window as it is now'), ...failures },
})

export const cloneWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/{name}/clone',
  summary: 'Give a window, or its first messages, another name',
  request: { params: windowName, body: body(cloneBody) },
  responses: { 201: json(windowSchema, 'The clone: see `state` and `receipt`'), ...failures },
})

export const createWindow = createRoute({
  method: 'put',
  path: '/cwm/v1/windows/{name}',
  summary: 'Make a window from messages or a document, without a chat',
  request: { params: windowName, body: body(contentBody) },
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
  responses: { 200: json(exportSchema, 'The file'), ...failures },
})

export const importWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/import',
  summary: 'Make a window from an exported file, rebuilt and checked by this engine',
  request: { query: importQuery, body: body(importBody) },
  responses: { 201: json(importSchema, 'Made: see `state` and `receipt`'), ...failures },
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
  request: { query: pageQuery },
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
  request: { query: pageQuery },
  responses: { 200: json(pageOf(sessionSchema), 'A page of sessions'), ...failures },
})

export const matchSession = createRoute({
  method: 'post',
  path: '/cwm/v1/sessions/match',
  summary: 'Find the session whose reply has just called one of the MCP tools',
  description:
    'For agents whose tool calls reach cwm by another way than their turns: name and arguments as the model gave them.',
  request: { body: body(matchBody) },
  responses: {
    200: json(matchSchema, 'Sessions whose replies held the call in the last ten minutes, newest first'),
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
