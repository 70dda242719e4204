// Health, liveness, and readiness, for probes and monitoring.

import { z } from 'zod'
import { breakerState, engineState } from './engine-states.ts'

export const healthSchema = z
  .object({
    status: z.enum(['ok', 'degraded']),
    version: z.string(),
    store: z.object({ kind: z.string(), ok: z.boolean() }),
    upstream: z
      .object({ ok: z.boolean(), error: z.string().optional(), breaker: breakerState })
      .describe(
        'With several engines: `ok` if any of them answers, and the state of the breaker that lets the most requests through',
      ),
    engines: z
      .array(
        z.object({
          id: z.string().describe('Its address'),
          state: engineState,
          ok: z.boolean(),
          error: z.string().optional(),
          breaker: breakerState,
          in_flight: z.number().describe('Requests of this proxy in flight there'),
          lmcache_instance: z
            .string()
            .nullable()
            .describe('The instance id of its LMCache server, from the settings. Null if not set'),
        }),
      )
      .describe(
        "All engines, for the operator's key only; empty without it. If one is down, `status` is `degraded`. A draining engine is not down",
      ),
    lmcache: z.object({
      ok: z.boolean().nullable().describe('Null if no LMCache is configured'),
      pins: z.boolean(),
      warnings: z.array(z.string()),
      coordinator: z
        .object({ url: z.string(), ok: z.boolean() })
        .optional()
        .describe('Absent if LMCache runs without one'),
      servers: z
        .array(z.object({ instance_id: z.string().optional(), url: z.string(), ok: z.boolean() }))
        .describe('Servers that are listed now or were in the last ten minutes'),
    }),
  })
  .meta({ id: 'Health' })

export const livenessSchema = z.object({ status: z.literal('live') }).meta({ id: 'Liveness' })

export const readinessSchema = z
  .object({
    status: z.enum(['ready', 'not_ready']),
    draining: z.boolean().describe('cwm is shutting down'),
    store: z.object({ ok: z.boolean() }),
    upstream: z
      .object({
        ok: z
          .boolean()
          .nullable()
          .describe(
            'Whether the last turn or probe was answered; false if its connection failed; null (`unknown`) if nothing was sent yet',
          ),
        state: z.enum(['answered', 'failed', 'unknown']).describe('The same, as a word'),
        breaker: breakerState,
      })
      .describe('With several engines: the best state. cwm is ready while at least one is not down'),
  })
  .meta({ id: 'Readiness' })

/** Parts that all proxies share, so their failure is no reason to prefer another proxy. A probe may exclude them. */
const sharedPart = z.enum(['store', 'upstream'])

export const readinessQuery = z.object({
  exclude: z
    .preprocess((one) => (typeof one === 'string' ? [one] : one), z.array(sharedPart).max(2).default([]))
    .describe('Parts to exclude from the verdict; they are still reported. May be given twice'),
})

export type HealthJson = z.infer<typeof healthSchema>
export type ReadinessJson = z.infer<typeof readinessSchema>
export type SharedPart = z.infer<typeof sharedPart>
