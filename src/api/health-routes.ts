// REST routes for probes and monitoring: health, liveness, and readiness. They need no key.

import { createRoute } from '@hono/zod-openapi'
import { errorSchema } from '../wire/error.ts'
import { healthSchema, livenessSchema, readinessQuery, readinessSchema } from '../wire/health.ts'
import { json } from './routes.ts'

export const showHealth = createRoute({
  method: 'get',
  path: '/cwm/v1/health',
  summary: 'Show whether engine, LMCache, and store are healthy',
  description:
    'Each is probed at most once per second, however many requests arrive. Failures of turns and the state of the breaker count between probes.',
  responses: {
    200: json(healthSchema, 'The upstream answers; `status` may still be `degraded`'),
    503: json(healthSchema, 'The upstream does not answer'),
  },
})

export const showLiveness = createRoute({
  method: 'get',
  path: '/cwm/livez',
  summary: 'Show whether the process is alive; restart it if this does not answer',
  responses: { 200: json(livenessSchema, 'The process is alive, which includes shutdown') },
})

export const showReadiness = createRoute({
  method: 'get',
  path: '/cwm/readyz',
  summary: 'Show whether this cwm should receive requests',
  request: { query: readinessQuery },
  responses: {
    200: json(readinessSchema, 'Ready'),
    503: json(readinessSchema, 'Not ready; the body says why'),
    400: json(errorSchema, '`exclude` contains an unknown part'),
  },
})
