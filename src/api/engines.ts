// REST handlers for the engines behind cwm. Only the operator may see or change them: addresses are infrastructure.

import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { EngineJson } from '../wire/engines.ts'
import type { Bindings } from './bindings.ts'
import { drainEngine, listEngines, resumeEngine } from './engine-routes.ts'

/** An engine, as the operator sees it. */
export interface EngineReport {
  readonly id: string
  readonly weight: number
  readonly state: EngineJson['state']
  /** Undefined if it is not draining. */
  readonly drainedBy: 'settings' | 'operator' | undefined
  readonly breaker: EngineJson['breaker']
  /** Why its last request or check failed; undefined if it succeeded. */
  readonly error: string | undefined
  readonly inFlight: number
  /** Undefined if the store does not answer. */
  readonly placements: number | undefined
  /** Undefined if the engine does not answer. */
  readonly models: readonly string[] | undefined
  /** Its LMCache server; undefined if unknown. */
  readonly kvServer: string | undefined
}

export interface EngineHandlerParts {
  readonly engines: {
    list(): Promise<readonly EngineReport[]>
    drain(engine: string): Promise<EngineReport>
    resume(engine: string): Promise<EngineReport>
  }
}

export function mountEngines(
  app: OpenAPIHono<Bindings>,
  { engines }: EngineHandlerParts,
  requireOperator: (c: Context<Bindings>) => void,
): void {
  app.openapi(listEngines, async (c) => {
    requireOperator(c)
    return c.json({ data: (await engines.list()).map(engineToWire) }, 200)
  })

  app.openapi(drainEngine, async (c) => {
    requireOperator(c)
    return c.json(engineToWire(await engines.drain(c.req.valid('json').engine)), 200)
  })

  app.openapi(resumeEngine, async (c) => {
    requireOperator(c)
    return c.json(engineToWire(await engines.resume(c.req.valid('json').engine)), 200)
  })
}

function engineToWire({ id, weight, state, drainedBy, breaker, error, inFlight, ...more }: EngineReport): EngineJson {
  return {
    id,
    weight,
    state,
    drained_by: drainedBy ?? null,
    drained: state === 'draining' && inFlight === 0,
    breaker,
    error,
    in_flight: inFlight,
    placements: more.placements ?? null,
    models: more.models === undefined ? null : [...more.models],
    lmcache_instance: more.kvServer ?? null,
  }
}
