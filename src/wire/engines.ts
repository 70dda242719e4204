// The engines behind cwm, for the operator.

import { z } from 'zod'
import { breakerState, engineState } from './engine-states.ts'

export const engineSchema = z
  .object({
    id: z.string().describe('Its address'),
    weight: z.number().describe('Its share of new sessions, relative to the other engines'),
    state: engineState,
    drained_by: z
      .enum(['settings', 'operator'])
      .nullable()
      .describe('Why it drains: the settings (`drain: true`), or `POST /cwm/v1/engines/drain`. Null if it does not'),
    drained: z.boolean().describe('It drains, and this proxy has no request in flight there'),
    breaker: breakerState,
    error: z.string().optional().describe('Why it did not answer last'),
    in_flight: z.number().describe("Requests of this proxy that are in flight there, cwm's own calls included"),
    placements: z
      .number()
      .nullable()
      .describe(
        'Affinity keys that are placed on it: sessions whose next turn goes there, or to another engine if it drains. Null if the store does not answer',
      ),
    models: z.array(z.string()).nullable().describe('At most 100 served names. Null if the engine does not answer'),
    lmcache_instance: z.string().nullable().describe('Its LMCache server. Null if unknown'),
  })
  .meta({ id: 'Engine' })

export const engineListSchema = z.object({ data: z.array(engineSchema) }).meta({ id: 'EngineList' })

export const engineBody = z.strictObject({
  engine: z.string().min(1).max(2_048).describe('The address of the engine, as the list has it'),
})

export type EngineJson = z.infer<typeof engineSchema>
export type EngineListJson = z.infer<typeof engineListSchema>
