// REST handlers for sessions, deletes, and the erasure of a tenant.

import type { OpenAPIHono } from '@hono/zod-openapi'
import { CwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { Audit } from '../journal/audit.ts'
import type { EventLog } from '../journal/events.ts'
import type { Timeline } from '../journal/timeline.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Libraries } from '../libraries/libraries.ts'
import type { RecentCalls } from '../sessions/recent-calls.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import { SessionLists, type SessionQuery } from '../sessions/session-list.ts'
import type { SessionTracker } from '../sessions/tracker.ts'
import type { Store } from '../store/store.ts'
import type { TenantOverrides } from '../tenants/overrides.ts'
import type { StoredKeys } from '../tenants/stored-keys.ts'
import type { Deletions } from '../windows/deletions.ts'
import { eraseTenant } from '../windows/erase-tenant.ts'
import type { SessionListQuery } from '../wire/sessions.ts'
import type { Bindings, CallerOf } from './bindings.ts'
import { freezableTurn } from './last-turn.ts'
import * as routes from './routes.ts'
import { countedPageToWire, deletionToWire, erasureToWire, pageToWire, sessionToWire } from './to-wire.ts'
import { requireSession } from './window-handlers.ts'

export interface SessionHandlerParts {
  readonly sessions: SessionTracker
  readonly retained: RetainedTurns
  readonly deletions: Deletions
  readonly store: Store
  readonly audit: Pick<Audit, 'record' | 'settle'>
  readonly events: Pick<EventLog, 'settle'>
  readonly ledger: Pick<Ledger, 'forget'>
  readonly calls: Pick<RecentCalls, 'find'>
  readonly libraries: Libraries
  readonly overrides: Pick<TenantOverrides, 'forget' | 'get' | 'put'>
  readonly storedKeys: Pick<StoredKeys, 'sync'>
  readonly timeline: Pick<Timeline, 'forget' | 'bucketsOf'>
  readonly now: () => number
}

/** How often ending a session is tried. A turn between reading and ending the session requires another attempt. */
const ATTEMPTS = 5

export function mountSessions(app: OpenAPIHono<Bindings>, parts: SessionHandlerParts, callerOf: CallerOf): void {
  const { sessions, retained, deletions } = parts
  const lists = new SessionLists(parts.store)

  app.openapi(routes.listSessions, async (c) => {
    const page = await lists.list(callerOf(c).tenant, queryFromWire(c.req.valid('query')))
    const { items, total, examined } = page
    const data = items.map((record) => sessionToWire(record))
    const counts = {
      ...(total === undefined ? {} : { total }),
      ...(examined === undefined ? {} : { isMinimum: true, examined }),
    }
    return c.json(countedPageToWire(data, page, counts), 200)
  })

  app.openapi(routes.matchSession, (c) => {
    const { tool, arguments: args } = c.req.valid('json')
    return c.json({ session_ids: [...parts.calls.find(callerOf(c).tenant, tool, args as JsonObject)] }, 200)
  })

  app.openapi(routes.showSession, async (c) => {
    const { tenant } = callerOf(c)
    const { id } = c.req.valid('param')
    const { record } = await requireSession(sessions, tenant, id)
    return c.json(sessionToWire(record, (await freezableTurn(retained, record)) !== undefined), 200)
  })

  app.openapi(routes.endSession, async (c) => {
    const { tenant, operation } = callerOf(c)
    const { id } = c.req.valid('param')
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await requireSession(sessions, tenant, id)
      const record = await parts.store.getSession(tenant, id)
      const done = record === undefined ? undefined : await deletions.endSession(record, 'asked', operation.actor)
      if (done !== undefined) return c.json(deletionToWire(done), 200)
    }
    throw new CwmError('SESSION_CHANGED', `session ${id} keeps getting new turns; stop its client and try again`, {
      param: 'session_id',
    })
  })

  app.openapi(routes.listDeletions, async (c) => {
    const { limit, cursor } = c.req.valid('query')
    const page = await deletions.list(callerOf(c).tenant, cursor === undefined ? { limit } : { limit, cursor })
    return c.json(pageToWire(page.items.map(deletionToWire), page.nextCursor), 200)
  })

  app.openapi(routes.showDeletion, async (c) => {
    return c.json(deletionToWire(await deletions.show(callerOf(c).tenant, c.req.valid('param').id)), 200)
  })

  app.openapi(routes.eraseTenant, async (c) => {
    const { tenant, operation } = callerOf(c)
    // First, so that no window is frozen for them any more.
    await parts.libraries.forget(tenant)
    const erasure = await eraseTenant(parts, deletions, tenant, operation.actor)
    parts.overrides.forget(tenant)
    // Its keys are gone from the store.
    await parts.storedKeys.sync()
    parts.timeline.forget(tenant)
    return c.json(erasureToWire(erasure), 200)
  })
}

function queryFromWire({ search, base_window, cursor, model, state, count, ...query }: SessionListQuery): SessionQuery {
  return {
    ...query,
    count: count === 'true',
    ...(cursor === undefined ? {} : { cursor }),
    ...(search === undefined ? {} : { text: search }),
    ...(model === undefined ? {} : { model }),
    ...(state === undefined ? {} : { state }),
    ...(base_window === undefined ? {} : { baseWindow: base_window }),
  }
}
