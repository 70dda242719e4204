// REST routes for administration: tenants with their usage, limits, and overrides, and the audit log.

import { createRoute } from '@hono/zod-openapi'
import { auditEntrySchema } from '../wire/audit.ts'
import { errorSchema } from '../wire/error.ts'
import { pageOf, pageQuery } from '../wire/lists.ts'
import { reloadSchema } from '../wire/reload.ts'
import { listedTenantSchema, nearLimitBody, nearLimitSchema, tenantSchema, timelineSchema } from '../wire/tenants.ts'
import { body, failures, json } from './routes.ts'

export const listTenants = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants',
  summary: 'List tenants, ordered by id: those in the settings, and those that have a session or a window',
  description: "Needs the operator's key, without `x-cwm-tenant`. Keys and their hashes are never shown.",
  request: { query: pageQuery },
  responses: { 200: json(pageOf(listedTenantSchema), 'A page of tenants'), ...failures },
})

export const showTenant = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants/me',
  summary: 'Show the usage and limits of this tenant',
  responses: { 200: json(tenantSchema, 'The tenant'), ...failures },
})

export const showNearLimit = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants/me/near-limit',
  summary: "Show what happens to this tenant's sessions near the context limit",
  responses: { 200: json(nearLimitSchema, 'The values in force'), ...failures },
})

export const chooseNearLimit = createRoute({
  method: 'put',
  path: '/cwm/v1/tenants/me/near-limit',
  summary:
    "Set what happens to this tenant's sessions near the context limit; fields left out follow the operator's settings",
  request: { body: body(nearLimitBody) },
  responses: {
    200: json(nearLimitSchema, 'The values in force from the next turn, on other proxies within five seconds'),
    ...failures,
  },
})

export const showTimeline = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants/me/timeline',
  summary: "This tenant's last hour on this proxy: cached share and time to first token",
  responses: {
    200: json(timelineSchema, 'Buckets with data, oldest first; a restart clears them'),
    ...failures,
  },
})

export const listAudit = createRoute({
  method: 'get',
  path: '/cwm/v1/audit',
  summary: 'List operations on windows and sessions, newest first',
  description:
    "A tenant reads its own entries. The operator's key reads those of all tenants, or with `x-cwm-tenant` those of one.",
  request: { query: pageQuery },
  responses: { 200: json(pageOf(auditEntrySchema), 'A page of entries'), ...failures },
})

export const reloadSettings = createRoute({
  method: 'post',
  path: '/cwm/v1/reload',
  summary: 'Read the settings again: keys, tenants, limits, policies, engines, log level',
  description:
    "Needs the operator's key, without `x-cwm-tenant`. The settings are read as at start: the same file, variables, and flags. Send `content-type: application/json`, with or " +
    'without a body. A removed key is rejected from the next request on; its running answers finish. Only this process is reloaded.',
  responses: {
    200: json(reloadSchema, 'What changed, and what needs a restart'),
    422: json(errorSchema, 'The settings have faults, and nothing has changed; the message lists all of them'),
    ...failures,
  },
})
