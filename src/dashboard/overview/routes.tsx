// The tab that opens first: what a tenant holds, and its last hour.

import type { TenantJson, TimelineJson } from '../../wire/tenants.ts'
import type { Mount } from '../pages.tsx'
import { Charts, Summary } from './overview.tsx'

export const overview: Mount = (app, pages) => {
  app.get('/', async (c) => {
    const summary = <Summary tenant={await pages.ask(c)<TenantJson>('GET', '/cwm/v1/tenants/me')} />
    const body = (
      <>
        {summary}
        <Charts />
      </>
    )
    return await pages.show(c, {
      tab: 'overview',
      title: 'Overview',
      body,
      fragment: summary,
      scripts: ['uplot.js', 'charts.js'],
      styles: ['uplot.css'],
    })
  })
  app.get('/timeline', async (c) => c.json(await pages.ask(c)<TimelineJson>('GET', '/cwm/v1/tenants/me/timeline')))
}
