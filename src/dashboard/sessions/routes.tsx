// The tab of sessions: the list, the details, and the end of a session.

import type { DeletionJson } from '../../wire/deletions.ts'
import type { SessionJson } from '../../wire/sessions.ts'
import { GaugeLegend } from '../gauge.tsx'
import { cursorOf, listAssets } from '../list-address.ts'
import { mountMessages } from '../messages/routes.tsx'
import { type Mount, refreshLists } from '../pages.tsx'
import { readFreezeAt, readSessions, readWindowsOf, sessionApiPath } from '../queries.ts'
import { ConfirmEnd, Deleted } from '../receipts.tsx'
import { sessionPath } from '../regions.tsx'
import { sessionList } from './filter.ts'
import { SessionDetail } from './session-detail.tsx'
import { SessionFilterForm, Sessions } from './sessions.tsx'

export const sessions: Mount = (app, pages) => {
  app.get('/sessions', async (c) => {
    const [filter, cursor] = [sessionList.read(c), cursorOf(c)]
    const read = await readSessions(pages.ask(c), filter, cursor)
    const list = <Sessions {...read} filter={filter} cursor={cursor} now={pages.now()} />
    const body = (
      <section class="card" aria-label="Sessions">
        <SessionFilterForm filter={filter} />
        <GaugeLegend />
        {list}
      </section>
    )
    const url = sessionList.url(filter, cursor)
    return await pages.show(c, { tab: 'sessions', title: 'Sessions', body, fragment: list, url, ...listAssets })
  })
  app.get('/sessions/:id', async (c) => {
    const ask = pages.ask(c)
    const id = c.req.param('id')
    const [session, windows, freezeAt] = await Promise.all([
      ask<SessionJson>('GET', sessionApiPath(id)),
      readWindowsOf(ask, id),
      readFreezeAt(ask),
    ])
    const body = <SessionDetail session={session} windows={windows} freezeAt={freezeAt} now={pages.now()} />
    return await pages.showDetail(c, { tab: 'sessions', title: id, body, ...listAssets })
  })
  mountMessages(app, pages, { of: 'sessions', param: 'id', apiPath: sessionApiPath, path: sessionPath })
  app.get('/sessions/:id/end', async (c) => {
    const id = c.req.param('id')
    return await pages.showDetail(c, {
      tab: 'sessions',
      title: `End ${id}`,
      body: <ConfirmEnd id={id} />,
      ...listAssets,
    })
  })
  app.post('/sessions/:id/end', async (c) => {
    const deletion = await pages.ask(c)<DeletionJson>('DELETE', sessionApiPath(c.req.param('id')))
    return await pages.html(c, <Deleted deletion={deletion} />, refreshLists)
  })
}
