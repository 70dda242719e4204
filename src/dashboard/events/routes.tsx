// The tab of events. The page's script fills the list from the one stream of events that every page has.

import { eventKinds } from '../../base/events.ts'
import { ChoiceFilter } from '../filter-form.tsx'
import type { Mount } from '../pages.tsx'

export const events: Mount = (app, pages) => {
  app.get('/events', async (c) => {
    const { isOperator, tenant } = await pages.viewer(c)
    // Events of engines are for the operator.
    const kinds = eventKinds.filter((kind) => kind !== 'engine' || (isOperator && tenant === undefined))
    const options = { '': 'all kinds', ...Object.fromEntries(kinds.map((kind) => [kind, kind.replaceAll('_', ' ')])) }
    const chosen = c.req.query('kind') ?? ''
    const body = (
      <section class="card" aria-label="Newest events">
        <form class="filter" action="/cwm/ui/events">
          <ChoiceFilter name="kind" label="Kind" options={options} chosen={chosen} />
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
