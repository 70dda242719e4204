// The tab of events. The page's script fills the list from the one stream of events that every page has.

import { eventKinds } from '../../base/events.ts'
import type { Mount } from '../pages.tsx'

export const events: Mount = (app, pages) => {
  app.get('/events', async (c) => {
    const { isOperator, tenant } = await pages.viewer(c)
    // Events of engines are for the operator.
    const kinds = eventKinds.filter((kind) => kind !== 'engine' || (isOperator && tenant === undefined))
    const chosen = c.req.query('kind') ?? ''
    const body = (
      <section class="card" aria-label="Newest events">
        <form id="event-filter" class="filter" action="/cwm/ui/events">
          <label>
            <span>Kind</span>
            <select id="kind" name="kind">
              <option value="">all kinds</option>
              {kinds.map((kind) => (
                <option value={kind} selected={kind === chosen}>
                  {kind.replaceAll('_', ' ')}
                </option>
              ))}
            </select>
          </label>
        </form>
        <ol id="events" class="plain" />
        <p id="no-events" class="empty">
          No events since this page was opened.
        </p>
      </section>
    )
    return await pages.show(c, { tab: 'events', title: 'Events', body, scripts: ['events.js'] })
  })
}
