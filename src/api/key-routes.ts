// REST routes for the API keys of listed tenants.

import { createRoute, z } from '@hono/zod-openapi'
import { createdKeySchema, createKeyBody, keyListQuery, keySchema } from '../wire/keys.ts'
import { pageOf } from '../wire/lists.ts'
import { body, failures, json } from './routes.ts'

const NEEDS_OPERATOR = "Needs the operator's key, without `x-cwm-tenant`."

const keyId = z.object({ id: z.string().openapi({ param: { name: 'id', in: 'path' } }) })

export const createKey = createRoute({
  method: 'post',
  path: '/cwm/v1/keys',
  summary: 'Create an API key for a tenant',
  description: `${NEEDS_OPERATOR} The answer contains the key, which is not shown again. It is valid at once, on all proxies that share the store.`,
  request: { body: body(createKeyBody) },
  responses: { 201: json(createdKeySchema, 'The key with its secret'), ...failures },
})

export const listKeys = createRoute({
  method: 'get',
  path: '/cwm/v1/keys',
  summary: 'List API keys by tenant and name: those of the settings file, and those created by REST',
  description: `${NEEDS_OPERATOR} Neither keys nor their hashes are shown.`,
  request: { query: keyListQuery },
  responses: { 200: json(pageOf(keySchema), 'A page of keys'), ...failures },
})

export const revokeKey = createRoute({
  method: 'delete',
  path: '/cwm/v1/keys/{id}',
  summary: 'Revoke an API key that was created by REST',
  description: `${NEEDS_OPERATOR} This proxy rejects it from the next request on, others that share the store within about a second. Its running answers finish; its event streams end.`,
  request: { params: keyId },
  responses: { 200: json(keySchema, 'The key that was revoked'), ...failures },
})
