// The tab that opens first: what a tenant holds, and charts of its last hour or day from the ledger.

import type { TenantJson } from '../../wire/tenants.ts'
import type { UsageJson } from '../../wire/usage.ts'
import type { Mount } from '../pages.tsx'
import { Overview, overviewUrl } from './overview.tsx'
import { type Span, spans } from './series.ts'

export const overview: Mount = (app, pages) => {
  app.get('/', async (c) => {
    const ask = pages.ask(c)
    const { isOperator, tenant: chosen } = await pages.viewer(c)
    const span: Span = c.req.query('span') === 'day' ? 'day' : 'hour'
    const now = pages.now()
    const query = new URLSearchParams({ by: 'minute', from: new Date(now - spans[span].ms).toISOString() })
    const [tenant, usage] = await Promise.all([
      isOperator && chosen === undefined ? undefined : ask<TenantJson>('GET', '/cwm/v1/tenants/me'),
      ask<UsageJson>('GET', `/cwm/v1/usage?${query}`),
    ])
    return await pages.show(c, {
      tab: 'overview',
      title: 'Overview',
      body: <Overview span={span} usage={usage} tenant={tenant} now={now} />,
      url: overviewUrl(span),
      scripts: ['uplot.js', 'charts.js'],
      styles: ['uplot.css', 'overview.css'],
    })
  })
}
