// The REST route for events.

import { createRoute, z } from '@hono/zod-openapi'
import { eventQuery } from '../wire/events.ts'
import { failures } from './routes.ts'

const headers = z.object({
  'last-event-id': z.string().optional().openapi({ description: 'The id after which to start' }),
})

export const listenToEvents = createRoute({
  method: 'get',
  path: '/cwm/v1/events',
  summary: 'Subscribe to events of sessions and windows, as server-sent events',
  description:
    "A tenant receives its own events. The operator's key receives those of all tenants and those of engines, or with `x-cwm-tenant` those of one tenant. Starts now, or after " +
    '`Last-Event-ID`. The event `missed` means that some events may have been dropped before they could be sent.',
  request: { query: eventQuery, headers },
  responses: {
    200: {
      content: { 'text/event-stream': { schema: z.string() } },
      description: 'Events, until the client disconnects',
    },
    ...failures,
  },
})
