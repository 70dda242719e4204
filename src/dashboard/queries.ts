// REST queries for the pages.

import { RestError } from '../base/call-rest.ts'
import type { CountedPageJson, PageJson } from '../wire/lists.ts'
import type { SessionJson } from '../wire/sessions.ts'
import type { NearLimitJson } from '../wire/tenants.ts'
import type { WindowJson } from '../wire/windows.ts'
import type { SessionRow } from './sessions/sessions.tsx'
import type { Ask } from './viewers.ts'
import type { Family } from './windows/window-detail.tsx'

/** Windows of a session that its gauge and its details show. */
export const MAX_GAUGE_WINDOWS = 20
/** Ancestors and children that a family tree shows. */
const MAX_ANCESTORS = 10
const MAX_CHILDREN = 50

export const sessionApiPath = (id: string) => `/cwm/v1/sessions/${encodeURIComponent(id)}`
export const windowApiPath = (name: string) => `/cwm/v1/windows/${encodeURIComponent(name)}`

/** A page of sessions, as rows of their list. */
export async function readSessions(ask: Ask, path: string): Promise<CountedPageJson<SessionRow>> {
  const [page, freezeAt] = await Promise.all([ask<CountedPageJson<SessionJson>>('GET', path), readFreezeAt(ask)])
  const rows = page.data.map(async (session) => ({
    session,
    windows: await readWindowsOf(ask, session.id),
    freezeAt,
  }))
  return { ...page, data: await Promise.all(rows) }
}

/** One session, as a row of the list. Throws `RestError` if it is unknown. */
export async function readSession(ask: Ask, id: string): Promise<SessionRow> {
  const [session, windows, freezeAt] = await Promise.all([
    ask<SessionJson>('GET', sessionApiPath(id)),
    readWindowsOf(ask, id),
    readFreezeAt(ask),
  ])
  return { session, windows, freezeAt }
}

async function readWindowsOf(ask: Ask, session: string): Promise<readonly WindowJson[]> {
  const query = new URLSearchParams({ session_id: session, limit: String(MAX_GAUGE_WINDOWS) })
  return (await ask<PageJson<WindowJson>>('GET', `/cwm/v1/windows?${query}`)).data
}

async function readFreezeAt(ask: Ask): Promise<number> {
  return (await ask<NearLimitJson>('GET', '/cwm/v1/tenants/me/near-limit')).freeze_at
}

export async function readFamily(ask: Ask, window: WindowJson): Promise<Family> {
  const query = new URLSearchParams({ parent: window.name, limit: String(MAX_CHILDREN), sort: 'name', order: 'asc' })
  const children = ask<PageJson<WindowJson>>('GET', `/cwm/v1/windows?${query}`)
  const ancestors: string[] = []
  for (let parent = window.parent; parent !== undefined && ancestors.length < MAX_ANCESTORS; ) {
    const above = await ask<WindowJson>('GET', windowApiPath(parent)).catch(ignoreNotFound)
    // Stops at a deleted parent, which cannot be linked to.
    if (above === undefined || ancestors.includes(parent)) break
    ancestors.push(parent)
    parent = above.parent
  }
  return { ancestors, children: (await children).data.map(({ name }) => name) }
}

function ignoreNotFound(thrown: unknown): undefined {
  if (!(thrown instanceof RestError) || thrown.status !== 404) throw thrown
}
