// REST's routes for who looks after a tenant: what it holds and may hold, and the audit log.

import { createRoute } from '@hono/zod-openapi'
import { auditEntrySchema } from '../wire/audit.ts'
import { pageOf, pageQuery } from '../wire/lists.ts'
import { listedTenantSchema, nearLimitBody, nearLimitSchema, tenantSchema, timelineSchema } from '../wire/tenants.ts'
import { body, failures, json } from './routes.ts'

export const listTenants = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants',
  summary: 'List tenants, in order of their ids: those in the settings, and those that hold a session or a window',
  description: "Needs the operator's key, without `x-cwm-tenant`. Keys and their hashes are never shown.",
  request: { query: pageQuery },
  responses: { 200: json(pageOf(listedTenantSchema), 'A page of tenants'), ...failures },
})

export const showTenant = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants/me',
  summary: 'Show what this tenant holds, and what it may',
  responses: { 200: json(tenantSchema, 'The tenant'), ...failures },
})

export const showNearLimit = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants/me/near-limit',
  summary: 'Show what happens to sessions of this tenant near the limit',
  responses: { 200: json(nearLimitSchema, 'What holds now'), ...failures },
})

export const chooseNearLimit = createRoute({
  method: 'put',
  path: '/cwm/v1/tenants/me/near-limit',
  summary: "Choose what happens to sessions of this tenant near the limit; what is left out is the operator's to say",
  request: { body: body(nearLimitBody) },
  responses: {
    200: json(nearLimitSchema, 'What holds from the next turn on; at other proxies within five seconds'),
    ...failures,
  },
})

export const showTimeline = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants/me/timeline',
  summary: 'The last hour of this tenant on this proxy: cached share and time to first token',
  responses: {
    200: json(timelineSchema, 'Buckets that hold anything, oldest first; a restart begins anew'),
    ...failures,
  },
})

export const listAudit = createRoute({
  method: 'get',
  path: '/cwm/v1/audit',
  summary: 'List operations on windows and sessions, newest first',
  description: "A tenant reads its own entries; the operator's key all tenants', or with `x-cwm-tenant` one's.",
  request: { query: pageQuery },
  responses: { 200: json(pageOf(auditEntrySchema), 'A page of entries'), ...failures },
})
