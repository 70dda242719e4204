// REST's route for events, and what of them goes over the wire.

import { createRoute, z } from '@hono/zod-openapi'
import { eventKinds } from '../base/events.ts'
import { failures } from './routes.ts'

const query = z.object({
  kinds: z
    .preprocess((value) => (typeof value === 'string' ? value.split(',') : value), z.array(z.enum(eventKinds)))
    .optional()
    .openapi({ description: 'Only these kinds, with commas between them', type: 'string', example: 'frozen,deleted' }),
  last_event_id: z
    .string()
    .max(128)
    .optional()
    .openapi({ description: 'As the header `Last-Event-ID`, for a client that cannot send one; the header counts' }),
})

const headers = z.object({
  'last-event-id': z.string().optional().openapi({ description: 'The id behind which to begin' }),
})

export const listenToEvents = createRoute({
  method: 'get',
  path: '/cwm/v1/events',
  summary: 'Hear what happens to sessions and windows, as server-sent events',
  description:
    "A tenant hears its own; the operator's key all tenants', or with `x-cwm-tenant` one's. Begins with what happens from now on, or behind " +
    '`Last-Event-ID`. An event `missed` says that some may have been dropped before they could be told.',
  request: { query, headers },
  responses: {
    200: {
      content: { 'text/event-stream': { schema: z.string() } },
      description: 'The events, until the client leaves',
    },
    ...failures,
  },
})
