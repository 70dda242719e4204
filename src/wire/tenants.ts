// A tenant: its usage and limits, its overrides, and its last hour.

import { z } from 'zod'
import { overflowPolicies } from '../base/tenants.ts'
import { count, time } from './scalars.ts'

const quota = z.object({
  limit: count,
  remaining: count,
  reset_ms: count.describe('Milliseconds until all of it is available again, if nothing else is used'),
})
const quotas = z.object({ requests: quota.optional(), tokens: quota.optional() })

export const tenantSchema = z
  .object({
    id: z.string(),
    usage: z.object({
      sessions: count,
      windows: count,
      window_bytes: count.describe(
        'Messages and token ids of all its windows, and of deleted ones that sessions are still based on',
      ),
      pinned_tokens: count,
    }),
    limits: z
      .object({
        models: z.array(z.string()).optional(),
        max_in_flight_per_tenant: count.optional(),
        requests_per_minute: count.optional(),
        tokens_per_minute: count.optional(),
        max_sessions: count.optional(),
        max_windows: count.optional(),
        max_window_bytes: count.optional(),
        max_pinned_tokens: count.optional(),
        pin_ttl_ms: count.optional(),
      })
      .describe('An absent field means no limit'),
    rates: z
      .object({ tenant: quotas, key: quotas.describe('Of the key of this request') })
      .optional()
      .describe('What is left of the limits per minute. Absent if there are none, and in lists'),
    isolation: z.enum(['session', 'user', 'tenant']),
    when_pins_full: z.enum(['reject', 'release']),
  })
  .meta({ id: 'Tenant' })

export const listedTenantSchema = tenantSchema
  .and(
    z.object({
      listed: z.boolean().describe('Whether the settings list it; if not, it exists in the store only'),
    }),
  )
  .meta({ id: 'ListedTenant' })

const share = z.number().min(0).max(1)

/** Fields left out follow the operator's settings. */
export const nearLimitBody = z.strictObject({
  freeze_at: share.optional(),
  overflow: z.enum(overflowPolicies).optional(),
})

export const nearLimitSchema = z
  .object({
    freeze_at: share.describe('Share of the context limit at which a session is frozen automatically; 0 for never'),
    overflow: z.enum(overflowPolicies).describe('What happens to a turn that does not fit the context'),
    chosen: z
      .object({ freeze_at: share.optional(), overflow: z.enum(overflowPolicies).optional() })
      .describe("The tenant's own overrides; all other values are the operator's"),
  })
  .meta({ id: 'NearLimit' })

export const timelineSchema = z
  .object({
    bucket_ms: count,
    buckets: z.array(
      z.object({
        at: time,
        turns: count,
        prompt_tokens: count,
        cached_tokens: count,
        streams: count,
        mean_ttft_ms: z.number().nullable().describe('From dispatch to the first byte; null if there were no streams'),
        max_ttft_ms: z.number().nullable(),
      }),
    ),
  })
  .meta({ id: 'Timeline' })

export type TenantJson = z.infer<typeof tenantSchema>
export type ListedTenantJson = z.infer<typeof listedTenantSchema>
export type NearLimitBody = z.input<typeof nearLimitBody>
export type NearLimitJson = z.infer<typeof nearLimitSchema>
export type TimelineJson = z.infer<typeof timelineSchema>
