// The REST handler for events: sends the stored events as server-sent events, one page whenever the client has read the previous one.

import type { IncomingMessage } from 'node:http'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Now } from '../base/clock.ts'
import { eventStreamHeaders } from '../base/event-stream.ts'
import type { EventKind, StoredEvent } from '../base/events.ts'
import type { EventLog } from '../journal/events.ts'
import type { EventPage } from '../store/store-values.ts'
import type { EventJson } from '../wire/events.ts'
import type { Bindings } from './bindings.ts'
import { listenToEvents } from './events-route.ts'
import { iso } from './to-wire.ts'

export interface EventHandlerParts {
  readonly events: Pick<EventLog, 'subscribe'>
  readonly now: Now
  /** Whose events the caller may receive; undefined for all tenants. Throws `UNAUTHORIZED`. */
  readonly tenantInView: (request: IncomingMessage) => string | undefined
  /** Whose share of the slots for subscriptions the request uses. Undefined: the tenant's own. */
  readonly sharerInView: (request: IncomingMessage) => string | undefined
  /** Calls back when keys or tenants have changed, until the returned function is called. */
  readonly watchKeys: (onUpdate: () => void) => () => void
}

const headers = {
  ...eventStreamHeaders,
  // The response ends when cwm stops, which would then wait for a connection that is kept alive.
  connection: 'close',
}

export function mountEvents(
  app: OpenAPIHono<Bindings>,
  { events, now, tenantInView, sharerInView, watchKeys }: EventHandlerParts,
): void {
  app.openapi(listenToEvents, async (c) => {
    const { incoming, outgoing } = c.env
    const tenant = tenantInView(incoming)
    const { kinds, last_event_id } = c.req.valid('query')
    const lastId = c.req.valid('header')['last-event-id'] || last_event_id || undefined
    const gone = new AbortController()
    outgoing.once('close', () => gone.abort())
    if (outgoing.destroyed) gone.abort()
    const unwatch = watchKeys(() => {
      if (!isStillAllowed(() => tenantInView(incoming) === tenant)) gone.abort()
    })
    gone.signal.addEventListener('abort', unwatch, { once: true })
    if (gone.signal.aborted) unwatch()
    const subscription = await events.subscribe(tenant, lastId, gone.signal, sharerInView(incoming))
    const filter = { kinds: kinds && new Set(kinds), withTenant: tenant === undefined }
    const encoder = new TextEncoder()
    const body = new ReadableStream<Uint8Array>(
      {
        start(controller) {
          // An id without data lets a client that is disconnected before the first event resume at this point.
          const opening = lastId === undefined ? `: events from now on\nid: ${subscription.cursor}\n\n` : ': events\n\n'
          controller.enqueue(encoder.encode(opening))
        },
        async pull(controller) {
          const page = await subscription.next()
          if (page === undefined) controller.close()
          else controller.enqueue(encoder.encode(pageToText(page, filter, now())))
        },
      },
      { highWaterMark: 0 },
    )
    return c.body(body, 200, headers)
  })
}

/** A key that was removed is unknown, which throws. */
function isStillAllowed(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    return false
  }
}

interface EventFilter {
  /** Undefined for all kinds. */
  readonly kinds: ReadonlySet<EventKind> | undefined
  readonly withTenant: boolean
}

/** Without events this is a comment, which keeps the connection alive and detects clients that have left. */
function pageToText({ events, missed }: EventPage, { kinds, withTenant }: EventFilter, now: number): string {
  const texts = events
    .filter(({ kind }) => kinds === undefined || kinds.has(kind))
    .map((event) => eventToText(event, withTenant))
  if (missed) {
    const data: EventJson = { at: iso(now), kind: 'missed' }
    texts.unshift(`event: missed\ndata: ${JSON.stringify(data)}\n\n`)
  }
  return texts.length === 0 ? ': nothing new\n\n' : texts.join('')
}

function eventToText({ id, kind, at, tenant, session, window, details }: StoredEvent, withTenant: boolean): string {
  const data: EventJson = {
    at: iso(at),
    kind,
    tenant: withTenant ? tenant : undefined,
    session_id: session,
    window,
    ...details,
  }
  return `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`
}
