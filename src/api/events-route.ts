// REST's route for events.

import { createRoute, z } from '@hono/zod-openapi'
import { eventQuery } from '../wire/events.ts'
import { failures } from './routes.ts'

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
  request: { query: eventQuery, headers },
  responses: {
    200: {
      content: { 'text/event-stream': { schema: z.string() } },
      description: 'The events, until the client leaves',
    },
    ...failures,
  },
})
