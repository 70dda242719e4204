// The tab of events. The page's script fills the list from the one stream of events that every page has.

import type { Mount } from '../pages.tsx'

export const events: Mount = (app, pages) => {
  app.get('/events', async (c) => {
    const body = (
      <section class="card" aria-label="Events">
        <ol id="events" class="plain" />
        <p id="no-events" class="empty">
          No events since this page was opened.
        </p>
      </section>
    )
    return await pages.show(c, { tab: 'events', title: 'Events', body, scripts: ['events.js'] })
  })
}
