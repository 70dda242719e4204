// The REST routes for OpenAPI: path, parameters, body, and responses. The handlers are in window-handlers.ts and session-handlers.ts.

import { createRoute, z } from '@hono/zod-openapi'
import { deleteWindowQuery, deletionSchema, erasureSchema } from '../wire/deletions.ts'
import { errorSchema } from '../wire/error.ts'
import { countedPageOf, pageOf, pageQuery } from '../wire/lists.ts'
import { prefetchReceiptSchema, thawReceiptSchema } from '../wire/receipts.ts'
import { matchBody, matchSchema, sessionListQuery, sessionSchema } from '../wire/sessions.ts'
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
  400: json(errorSchema, 'The request is invalid; `param` names the field'),
  401: json(errorSchema, 'The key is missing or unknown'),
  403: json(errorSchema, 'A quota of the tenant is exhausted, or the tenant may not do this'),
  404: json(errorSchema, 'There is no such session or window for this key'),
  409: json(errorSchema, 'The state of the session or window does not allow it'),
  429: json(errorSchema, 'cwm is overloaded; retry after `Retry-After` seconds'),
  502: json(errorSchema, 'Engine or LMCache failed'),
  503: json(errorSchema, 'The store is unavailable'),
}

export const windowName = z.object({
  name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'before-refactor' }),
})
export const sessionId = z.object({
  id: z.string().openapi({ param: { name: 'id', in: 'path' }, example: 'support-42' }),
})

export const listWindows = createRoute({
  method: 'get',
  path: '/cwm/v1/windows',
  summary: 'List windows, newest first by default',
  request: { query: windowListQuery },
  responses: { 200: json(countedPageOf(windowSchema), 'A page of windows'), ...failures },
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
    202: json(windowSchema, 'The freeze is in progress'),
    ...failures,
  },
})

export const thawWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/{name}/thaw',
  summary: "Thaw a window into a session, or load its chunks into LMCache's memory",
  request: { params: windowName, body: body(thawBody) },
  responses: { 200: json(z.union([thawReceiptSchema, prefetchReceiptSchema]), 'The receipt'), ...failures },
})

export const changeWindow = createRoute({
  method: 'patch',
  path: '/cwm/v1/windows/{name}',
  summary: 'Change tags or note, or release or renew the pin',
  request: { params: windowName, body: body(changeWindowBody) },
  responses: { 200: json(windowSchema, 'The updated window'), ...failures },
})

export const cloneWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/{name}/clone',
  summary: 'Clone a window, or its first messages, under a new name',
  request: { params: windowName, body: body(cloneBody) },
  responses: { 201: json(windowSchema, 'The clone: see `state` and `receipt`'), ...failures },
})

export const createWindow = createRoute({
  method: 'put',
  path: '/cwm/v1/windows/{name}',
  summary: 'Create a window from messages or a document, without a chat',
  request: { params: windowName, body: body(contentBody) },
  responses: {
    200: json(windowSchema, 'A window of this name with exactly this content already exists'),
    201: json(windowSchema, 'Created: see `state` and `receipt`'),
    ...failures,
  },
})

export const exportWindow = createRoute({
  method: 'get',
  path: '/cwm/v1/windows/{name}/export',
  summary: 'Export a window as a file: messages, token ids, manifest, and checksum; no KV',
  request: { params: windowName },
  responses: { 200: json(exportSchema, 'The file'), ...failures },
})

export const importWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/import',
  summary: 'Create a window from an exported file, rebuilt and checked by this engine',
  request: { query: importQuery, body: body(importBody) },
  responses: { 201: json(importSchema, 'Created: see `state` and `receipt`'), ...failures },
})

export const deleteWindow = createRoute({
  method: 'delete',
  path: '/cwm/v1/windows/{name}',
  summary: 'Delete a window and the KV that only it holds, and return a receipt; sessions based on it continue',
  request: { params: windowName, query: deleteWindowQuery },
  responses: { 200: json(deletionSchema, 'What was proved; `state` is `open` while something is left'), ...failures },
})

export const endSession = createRoute({
  method: 'delete',
  path: '/cwm/v1/sessions/{id}',
  summary: 'End a session, delete the KV that only it holds, and return a receipt',
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
  summary: 'Show a delete and its receipt',
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: json(deletionSchema, 'The delete'), ...failures },
})

export const listSessions = createRoute({
  method: 'get',
  path: '/cwm/v1/sessions',
  summary: 'List sessions, most recent turn first by default',
  request: { query: sessionListQuery },
  responses: { 200: json(countedPageOf(sessionSchema), 'A page of sessions'), ...failures },
})

export const matchSession = createRoute({
  method: 'post',
  path: '/cwm/v1/sessions/match',
  summary: 'Find the session whose reply just called one of the MCP tools',
  description:
    'For agents whose tool calls reach cwm separately from their turns. Send name and arguments as the model produced them.',
  request: { body: body(matchBody) },
  responses: {
    200: json(matchSchema, 'Sessions whose replies contained the call in the last ten minutes, newest first'),
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
