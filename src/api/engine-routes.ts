// REST routes for the engines behind cwm.

import { createRoute } from '@hono/zod-openapi'
import { engineBody, engineListSchema, engineSchema } from '../wire/engines.ts'
import { body, failures, json } from './routes.ts'

const NEEDS_OPERATOR = "Needs the operator's key, without `x-cwm-tenant`."

export const listEngines = createRoute({
  method: 'get',
  path: '/cwm/v1/engines',
  summary: 'List the engines with their state, requests in flight, and placed sessions',
  description: NEEDS_OPERATOR,
  responses: { 200: json(engineListSchema, 'The engines, in the order of the settings'), ...failures },
})

export const drainEngine = createRoute({
  method: 'post',
  path: '/cwm/v1/engines/drain',
  summary: 'Drain an engine: it receives no new work, and its requests in flight finish',
  description: `${NEEDS_OPERATOR} Applies to every proxy that shares the store, and survives restarts, until the engine is resumed. Each session of the engine moves to another one with its next turn.`,
  request: { body: body(engineBody) },
  responses: { 200: json(engineSchema, 'The engine, with its requests in flight'), ...failures },
})

export const resumeEngine = createRoute({
  method: 'post',
  path: '/cwm/v1/engines/resume',
  summary: 'Resume a drained engine: it receives new work again',
  description: `${NEEDS_OPERATOR} Sessions that moved to other engines stay there.`,
  request: { body: body(engineBody) },
  responses: {
    200: json(engineSchema, 'The engine. If the settings drain it (`drain: true`), it still drains'),
    ...failures,
  },
})
