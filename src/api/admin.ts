// REST handlers for administration: tenants with their usage, limits, and overrides, and the audit log.

import type { IncomingMessage } from 'node:http'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { CwmError } from '../base/errors.ts'
import type { AuditEntry } from '../base/records.ts'
import type { Timeline } from '../journal/timeline.ts'
import type { RateLimiter } from '../rate-limits/rate-limiter.ts'
import type { Store } from '../store/store.ts'
import type { Page, PageRequest } from '../store/store-values.ts'
import type { TenantOverrides } from '../tenants/overrides.ts'
import type { Tenants } from '../tenants/tenants.ts'
import {
  chooseNearLimit,
  listAudit,
  listTenants,
  reloadSettings,
  showNearLimit,
  showTenant,
  showTimeline,
} from './admin-routes.ts'
import {
  auditEntryToWire,
  nearLimitToWire,
  reloadToWire,
  type SettingsReport,
  tenantToWire,
  timelineToWire,
} from './admin-to-wire.ts'
import type { Bindings, CallerOf } from './bindings.ts'
import { type EngineHandlerParts, mountEngines } from './engines.ts'
import { type KeyHandlerParts, mountKeys } from './keys.ts'
import { pageToWire } from './to-wire.ts'

export interface AdminHandlerParts extends EngineHandlerParts, KeyHandlerParts {
  /** Newest first. Without a tenant, the entries of all of them. */
  readonly listAudit: (tenant: string | undefined, page: PageRequest) => Promise<Page<AuditEntry>>
  readonly store: Store
  readonly rates: Pick<RateLimiter, 'read'>
  readonly overrides: Pick<TenantOverrides, 'forget' | 'get' | 'put'>
  readonly timeline: Pick<Timeline, 'forget' | 'bucketsOf'>
  /** Length of a bucket, milliseconds. */
  readonly bucketMs: number
  /** The tenants in the settings, and the policy of any tenant. */
  readonly tenants: Pick<Tenants, 'ids' | 'policyOf'>
  /** Whose records the caller may read; undefined for all tenants. Throws `UNAUTHORIZED`. */
  readonly tenantInView: (request: IncomingMessage) => string | undefined
  /** Reads the settings again. Throws `INVALID_SETTINGS`. */
  readonly reload: () => Promise<SettingsReport>
}

export function mountAdmin(app: OpenAPIHono<Bindings>, parts: AdminHandlerParts, callerOf: CallerOf): void {
  const { store, overrides, tenantInView } = parts

  const requireOperator = (c: Context<Bindings>) => {
    if (tenantInView(c.env.incoming) === undefined) return
    throw new CwmError(
      'UNAUTHORIZED',
      "this path requires the operator's key (setting operator_key), without the header x-cwm-tenant",
    )
  }

  mountEngines(app, parts, requireOperator)
  mountKeys(app, parts, requireOperator)

  app.openapi(listTenants, async (c) => {
    requireOperator(c)
    const { limit, cursor = '' } = c.req.valid('query')
    const { ids, next } = await listTenantsAfter(parts, Buffer.from(cursor, 'base64url').toString(), limit)
    const data = ids.map(async (id) => ({
      ...tenantToWire(id, await store.usageOf(id), parts.tenants.policyOf(id)),
      listed: parts.tenants.ids.includes(id),
    }))
    return c.json(pageToWire(await Promise.all(data), next), 200)
  })

  app.openapi(showTenant, async (c) => {
    const { tenant, sharer, policy, operation } = callerOf(c)
    const rates = await parts.rates.read({ sharer, policy, actor: operation.actor })
    return c.json(tenantToWire(tenant, await store.usageOf(tenant), policy, rates), 200)
  })

  app.openapi(showNearLimit, async (c) => {
    const { tenant, policy } = callerOf(c)
    return c.json(nearLimitToWire(policy, await overrides.get(tenant)), 200)
  })

  app.openapi(chooseNearLimit, async (c) => {
    const { tenant, policy } = callerOf(c)
    const { freeze_at, overflow } = c.req.valid('json')
    const chosen = {
      ...(freeze_at === undefined ? {} : { freezeAt: freeze_at }),
      ...(overflow === undefined ? {} : { overflow }),
    }
    await overrides.put(tenant, chosen)
    return c.json(nearLimitToWire(policy, chosen), 200)
  })

  app.openapi(showTimeline, (c) =>
    c.json(timelineToWire(parts.timeline.bucketsOf(callerOf(c).tenant), parts.bucketMs), 200),
  )

  app.openapi(reloadSettings, async (c) => {
    requireOperator(c)
    return c.json(reloadToWire(await parts.reload()), 200)
  })

  app.openapi(listAudit, async (c) => {
    const tenant = tenantInView(c.env.incoming)
    const { limit, cursor } = c.req.valid('query')
    const page = await parts.listAudit(tenant, cursor === undefined ? { limit } : { limit, cursor })
    return c.json(pageToWire(page.items.map(auditEntryToWire), page.nextCursor), 200)
  })
}

/** A page of tenants from settings and store, without duplicates, after the id `after`. */
async function listTenantsAfter({ tenants, store }: AdminHandlerParts, after: string, limit: number) {
  const listed = tenants.ids.filter((id) => id > after)
  const all = [...new Set([...listed, ...(await store.listTenants(after, limit + 1))])].sort()
  const ids = all.slice(0, limit)
  const next = all.length > limit ? Buffer.from(ids.at(-1) ?? '').toString('base64url') : undefined
  return { ids, next }
}
