// REST's routes for probes and monitoring: health, liveness and readiness. Anyone may ask, without a key.

import { createRoute } from '@hono/zod-openapi'
import { errorSchema } from '../wire/error.ts'
import { healthSchema, livenessSchema, readinessQuery, readinessSchema } from '../wire/health.ts'
import { json } from './routes.ts'

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

export const showLiveness = createRoute({
  method: 'get',
  path: '/cwm/livez',
  summary: 'Whether the process turns: restart it if this does not answer',
  responses: { 200: json(livenessSchema, 'It does, also while cwm is being stopped') },
})

export const showReadiness = createRoute({
  method: 'get',
  path: '/cwm/readyz',
  summary: 'Whether requests should be sent here',
  request: { query: readinessQuery },
  responses: {
    200: json(readinessSchema, 'They should'),
    503: json(readinessSchema, 'They should not; the body says why'),
    400: json(errorSchema, '`exclude` names something else'),
  },
})
