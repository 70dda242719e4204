// The tab of usage: a report of the ledger as a table, and as a file.

import type { UsageJson } from '../../wire/usage.ts'
import type { Mount } from '../pages.tsx'
import { readChoice, reportPath } from './query.ts'
import { Usage, UsageForm, usageUrl } from './usage.tsx'

export const usage: Mount = (app, pages) => {
  app.get('/usage', async (c) => {
    const viewer = await pages.viewer(c)
    const choice = readChoice(c, viewer)
    const report = await pages.ask(c)<UsageJson>('GET', reportPath(choice, pages.now(), 'json'))
    const table = <Usage choice={choice} usage={report} />
    const body = (
      <section class="card" aria-label="Usage of the span">
        <UsageForm choice={choice} viewer={viewer} />
        {table}
      </section>
    )
    return await pages.show(c, { tab: 'usage', title: 'Usage', body, fragment: table, url: usageUrl(choice) })
  })
  app.get('/usage.csv', async (c) => {
    const choice = readChoice(c, await pages.viewer(c))
    return await pages.download(c, reportPath(choice, pages.now(), 'csv'), 'cwm-usage.csv')
  })
}
