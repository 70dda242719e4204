// The REST route and handler for usage: reports of the ledger.

import type { IncomingMessage } from 'node:http'
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Now } from '../base/clock.ts'
import type { UsageQuery, UsageReport } from '../ledger/usage-report.ts'
import { usageQuery, usageSchema } from '../wire/usage.ts'
import type { Bindings } from './bindings.ts'
import { failures } from './routes.ts'
import { usageToCsv, usageToWire } from './usage-to-wire.ts'

export interface UsageHandlerParts {
  readonly now: Now
  readonly reportUsage: (query: UsageQuery, signal: AbortSignal) => Promise<UsageReport>
  /** Whose usage the caller may read; undefined for all tenants. Throws `UNAUTHORIZED`. */
  readonly tenantInView: (request: IncomingMessage) => string | undefined
}

const DAY_MS = 24 * 3_600_000

export const showUsage = createRoute({
  method: 'get',
  path: '/cwm/v1/usage',
  summary: 'Report requests and tokens of a span, grouped by tenant, key, model, or time',
  description:
    "A tenant reads its own usage. The operator's key reads the usage of all tenants, or with `x-cwm-tenant` that of one. Counts by minute are kept for a day, counts by hour for `usage_keep_ms`.",
  request: { query: usageQuery },
  responses: {
    200: {
      content: { 'application/json': { schema: usageSchema }, 'text/csv': { schema: z.string() } },
      description: 'One row per group, by time, tenant, key, and model',
    },
    ...failures,
  },
})

export function mountUsage(app: OpenAPIHono<Bindings>, { now, reportUsage, tenantInView }: UsageHandlerParts): void {
  app.openapi(showUsage, async (c) => {
    const tenant = tenantInView(c.env.incoming)
    const { from, to, by = [tenant === undefined ? 'tenant' : 'model'], format } = c.req.valid('query')
    const end = to === undefined ? now() : Date.parse(to)
    // A day before a time to come would have no requests.
    const start = from === undefined ? Math.min(end, now()) - DAY_MS : Date.parse(from)
    const report = await reportUsage({ tenant, from: start, to: end, by }, c.req.raw.signal)
    const body = usageToWire(report, by)
    const isCsv = format === undefined ? acceptsCsv(c.req.header('accept')) : format === 'csv'
    if (!isCsv) return c.json(body, 200)
    return c.text(usageToCsv(body), 200, { 'content-type': 'text/csv; charset=utf-8' })
  })
}

/** Whether CSV is among the accepted types, and JSON is not. */
function acceptsCsv(accept = ''): boolean {
  const types = accept.split(',').map((range) => range.split(';', 1)[0]?.trim().toLowerCase())
  return types.includes('text/csv') && !types.includes('application/json')
}
