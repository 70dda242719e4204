// REST routes for the engines behind cwm.

import { createRoute } from '@hono/zod-openapi'
import { engineBody, engineListSchema, engineSchema } from '../wire/engines.ts'
import { body, failures, json } from './routes.ts'

const NEEDS_OPERATOR = "Needs the operator's key, without `x-cwm-tenant`."

export const listEngines = createRoute({
  method: 'get',
  path: '/cwm/v1/engines',
  summary: 'List the engines: state, requests in flight, sessions placed on each',
  description: NEEDS_OPERATOR,
  responses: { 200: json(engineListSchema, 'The engines, in the order of the settings'), ...failures },
})

export const drainEngine = createRoute({
  method: 'post',
  path: '/cwm/v1/engines/drain',
  summary: 'Drain an engine: it gets no new work, and its requests in flight finish',
  description: `${NEEDS_OPERATOR} Holds on every proxy that shares the store, and after restarts, until it is resumed. The sessions of the engine move to others with their next turns.`,
  request: { body: body(engineBody) },
  responses: { 200: json(engineSchema, 'How far it is'), ...failures },
})

export const resumeEngine = createRoute({
  method: 'post',
  path: '/cwm/v1/engines/resume',
  summary: 'Give a drained engine work again',
  description: `${NEEDS_OPERATOR} Sessions that moved to other engines stay there.`,
  request: { body: body(engineBody) },
  responses: { 200: json(engineSchema, 'The engine; one that the settings drain still drains'), ...failures },
})
