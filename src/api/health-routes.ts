// REST's routes for probes and monitoring: health, liveness and readiness. Anyone may ask, without a key.

import { createRoute, z } from '@hono/zod-openapi'
import { json } from './routes.ts'
import { errorSchema } from './wire.ts'

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
  .openapi('Health')

export const showHealth = createRoute({
  method: 'get',
  path: '/cwm/v1/health',
  summary: 'Whether engine, LMCache and store answer',
  description:
    'Each is probed at most once a second, however many requests arrive. What turns and the breaker show between probes counts too.',
  responses: {
    200: json(healthSchema, 'They do, or what does not'),
    503: json(healthSchema, 'The upstream does not answer'),
  },
})

export const livenessSchema = z.object({ status: z.literal('live') }).openapi('Liveness')

export const showLiveness = createRoute({
  method: 'get',
  path: '/cwm/livez',
  summary: 'Whether the process turns: restart it if this does not answer',
  responses: { 200: json(livenessSchema, 'It does, also while cwm is being stopped') },
})

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
  .openapi('Readiness')

const sharedPart = z.enum(['store', 'upstream'])

export const showReadiness = createRoute({
  method: 'get',
  path: '/cwm/readyz',
  summary: 'Whether requests should be sent here',
  request: {
    query: z.object({
      exclude: z
        .preprocess((one) => (typeof one === 'string' ? [one] : one), z.array(sharedPart).max(2).default([]))
        .openapi({ description: 'Left out of the verdict, and still told; may be given twice' }),
    }),
  },
  responses: {
    200: json(readinessSchema, 'They should'),
    503: json(readinessSchema, 'They should not; the body says why'),
    400: json(errorSchema, '`exclude` names something else'),
  },
})
