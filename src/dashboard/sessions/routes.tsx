// The tab of sessions: the list, the details, and the end of a session.

import type { DeletionJson } from '../../wire/deletions.ts'
import { GaugeLegend } from '../gauge.tsx'
import { listAssets, mountList } from '../list-page.tsx'
import { mountMessages } from '../messages/routes.tsx'
import { type Mount, refreshLists } from '../pages.tsx'
import { readSession, readSessions, sessionApiPath } from '../queries.ts'
import { ConfirmEnd, Deleted } from '../receipts.tsx'
import { sessionPath } from '../regions.tsx'
import { sessionList } from './filter.ts'
import { SessionDetail } from './session-detail.tsx'
import { SessionFilterForm, Sessions } from './sessions.tsx'

export const sessions: Mount = (app, pages) => {
  mountList(app, pages, {
    address: sessionList,
    read: (c, path) => readSessions(pages.ask(c), path),
    list: (view) => <Sessions view={view} />,
    controls: (filter) => (
      <>
        <SessionFilterForm filter={filter} />
        <GaugeLegend />
      </>
    ),
  })
  app.get('/sessions/:id', async (c) => {
    const id = c.req.param('id')
    const body = <SessionDetail row={await readSession(pages.ask(c), id)} now={pages.now()} />
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
