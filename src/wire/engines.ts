// The engines behind cwm, for the operator.

import { z } from 'zod'
import { breakerState, engineState } from './engine-states.ts'

export const engineSchema = z
  .object({
    id: z.string().describe('Its address'),
    weight: z.number().describe('Its share of new sessions, relative to the other engines. 0: standby'),
    state: engineState,
    drained_by: z
      .enum(['settings', 'operator'])
      .nullable()
      .describe(
        'What drained it: the settings (`drain: true`), or `POST /cwm/v1/engines/drain`. Null if it is not draining',
      ),
    drained: z.boolean().describe('It is draining, and this proxy has no request in flight there'),
    breaker: breakerState,
    error: z.string().optional().describe('Why its last request or check failed. Absent if it succeeded'),
    in_flight: z.number().describe("Requests of this proxy in flight there, including cwm's own calls"),
    placements: z
      .number()
      .nullable()
      .describe(
        'Affinity keys placed on it. The next turn of their sessions goes there, or to another engine if it is draining. Null if the store does not answer',
      ),
    models: z
      .array(z.string())
      .nullable()
      .describe('Its served names, at most 100. Null if the engine does not answer'),
    lmcache_instance: z
      .string()
      .nullable()
      .describe('The instance id of its LMCache server, from the settings. Null if not set'),
  })
  .meta({ id: 'Engine' })

export const engineListSchema = z.object({ data: z.array(engineSchema) }).meta({ id: 'EngineList' })

export const engineBody = z.strictObject({
  engine: z.string().min(1).max(2_048).describe('The address of the engine, as `GET /cwm/v1/engines` lists it'),
})

export type EngineJson = z.infer<typeof engineSchema>
export type EngineListJson = z.infer<typeof engineListSchema>
