// Events: their query parameters and data. They are sent as server-sent events, which OpenAPI cannot describe.

import { z } from 'zod'
import { eventKinds } from '../base/events.ts'
import { time } from './scalars.ts'

export const eventQuery = z.object({
  kinds: z
    .preprocess((value) => (typeof value === 'string' ? value.split(',') : value), z.array(z.enum(eventKinds)))
    .optional()
    .meta({ description: 'Only these kinds, comma-separated', type: 'string', example: 'frozen,deleted' }),
  last_event_id: z
    .string()
    .max(128)
    .optional()
    .describe('Same as the header `Last-Event-ID`, for clients that cannot send it. The header takes precedence'),
})

/** The `data` of an event. Further fields depend on its kind. */
export const eventSchema = z.looseObject({
  at: time,
  kind: z.enum([...eventKinds, 'missed']),
  tenant: z.string().optional().describe("Only for the operator's key without `x-cwm-tenant`"),
  session_id: z.string().optional(),
  window: z.string().optional(),
})

export type EventJson = z.infer<typeof eventSchema>
