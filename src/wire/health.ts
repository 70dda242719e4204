// What probes and monitoring read: health, liveness, readiness.

import { z } from 'zod'

const breakerState = z
  .enum(['closed', 'half_open', 'open'])
  .describe(
    '`open`: the upstream is not asked for a while, after connection failures; `half_open`: one request shows whether it is back',
  )

export const healthSchema = z
  .object({
    status: z.enum(['ok', 'degraded']),
    version: z.string(),
    store: z.object({ kind: z.string(), ok: z.boolean() }),
    upstream: z.object({ ok: z.boolean(), error: z.string().optional(), breaker: breakerState }),
    lmcache: z.object({
      ok: z.boolean().nullable().describe('Null: no LMCache is configured'),
      pins: z.boolean(),
      warnings: z.array(z.string()),
      coordinator: z
        .object({ url: z.string(), ok: z.boolean() })
        .optional()
        .describe('Absent where LMCache runs without one'),
      servers: z
        .array(z.object({ instance_id: z.string().optional(), url: z.string(), ok: z.boolean() }))
        .describe('Every server that is listed now or was listed within the last ten minutes'),
    }),
  })
  .meta({ id: 'Health' })

export const livenessSchema = z.object({ status: z.literal('live') }).meta({ id: 'Liveness' })

export const readinessSchema = z
  .object({
    status: z.enum(['ready', 'not_ready']),
    draining: z.boolean().describe('cwm is being stopped'),
    store: z.object({ ok: z.boolean() }),
    upstream: z.object({
      ok: z
        .boolean()
        .nullable()
        .describe(
          'Whether the last turn or probe was answered; false if its connection failed. Null (`unknown`): nothing was sent yet',
        ),
      state: z.enum(['answered', 'failed', 'unknown']).describe('The same as a word'),
      breaker: breakerState,
    }),
  })
  .meta({ id: 'Readiness' })

/** What may be left out of the verdict: what all proxies share, and no other one is better off without. */
const sharedPart = z.enum(['store', 'upstream'])

export const readinessQuery = z.object({
  exclude: z
    .preprocess((one) => (typeof one === 'string' ? [one] : one), z.array(sharedPart).max(2).default([]))
    .describe('Left out of the verdict, and still told; may be given twice'),
})

export type HealthJson = z.infer<typeof healthSchema>
export type ReadinessJson = z.infer<typeof readinessSchema>
export type SharedPart = z.infer<typeof sharedPart>
