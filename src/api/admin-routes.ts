// REST's routes for who looks after a tenant: what it holds and may hold, and the audit log. Their shapes are here too; nobody else has them.

import { createRoute, z } from '@hono/zod-openapi'
import { overflowPolicies } from '../base/tenants.ts'
import { failures, json, page, pageOf } from './routes.ts'

const count = z.number().int().nonnegative()

export const tenantSchema = z
  .object({
    id: z.string(),
    usage: z.object({
      sessions: count,
      windows: count,
      window_bytes: count.describe("Of all windows' messages and token ids"),
      pinned_tokens: count,
    }),
    limits: z
      .object({
        models: z.array(z.string()).optional(),
        max_in_flight_per_tenant: count.optional(),
        max_sessions: count.optional(),
        max_windows: count.optional(),
        max_window_bytes: count.optional(),
        max_pinned_tokens: count.optional(),
        pin_ttl_ms: count.optional(),
      })
      .describe('What is absent has no limit'),
    isolation: z.enum(['session', 'user', 'tenant']),
    when_pins_full: z.enum(['reject', 'release']),
  })
  .openapi('Tenant')

export const auditEntrySchema = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    tenant: z.string(),
    actor: z
      .string()
      .describe("By which key it was asked: a key's name, `operator`, `key` where keys have no names, or `cwm` itself"),
    action: z.enum([
      'freeze',
      'thaw',
      'prefetch',
      'clone',
      'create',
      'import',
      'export',
      'update',
      'delete',
      'end',
      'erase',
    ]),
    target: z.enum(['window', 'session', 'tenant']),
    name: z.string(),
    outcome: z.string().describe('`ok`, `failed`, or the code of an error'),
    receipt: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  })
  .openapi('AuditEntry')

export const listedTenantSchema = tenantSchema
  .extend({ listed: z.boolean().describe('Whether the settings list it; if not, it only appears in the store') })
  .openapi('ListedTenant')

export const listTenants = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants',
  summary: 'List tenants, in order of their ids: those in the settings, and those that hold a session or a window',
  description: "Needs the operator's key, without `x-cwm-tenant`. Keys and their hashes are never shown.",
  request: { query: page },
  responses: { 200: json(pageOf(listedTenantSchema), 'A page of tenants'), ...failures },
})

export const showTenant = createRoute({
  method: 'get',
  path: '/cwm/v1/tenants/me',
  summary: 'Show what this tenant holds, and what it may',
  responses: { 200: json(tenantSchema, 'The tenant'), ...failures },
})

const share = z.number().min(0).max(1)

export const nearLimitSchema = z
  .object({
    freeze_at: share.describe('Share of the limit at which a session is frozen by itself; 0 never'),
    overflow: z.enum(overflowPolicies).describe('What is done with a turn that does not fit'),
    chosen: z
      .object({ freeze_at: share.optional(), overflow: z.enum(overflowPolicies).optional() })
      .describe("What of it is this tenant's own choice; the rest is the operator's"),
  })
  .openapi('NearLimit')

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
  request: {
    body: {
      content: {
        'application/json': {
          schema: z.strictObject({ freeze_at: share.optional(), overflow: z.enum(overflowPolicies).optional() }),
        },
      },
      required: true,
    },
  },
  responses: {
    200: json(nearLimitSchema, 'What holds from the next turn on; at other proxies within five seconds'),
    ...failures,
  },
})

export const timelineSchema = z
  .object({
    bucket_ms: count,
    buckets: z.array(
      z.object({
        at: z.iso.datetime(),
        turns: count,
        prompt_tokens: count,
        cached_tokens: count,
        streams: count,
        mean_ttft_ms: z.number().nullable().describe('From dispatch to the first byte; null without streams'),
        max_ttft_ms: z.number().nullable(),
      }),
    ),
  })
  .openapi('Timeline')

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
  request: { query: page },
  responses: { 200: json(pageOf(auditEntrySchema), 'A page of entries'), ...failures },
})
