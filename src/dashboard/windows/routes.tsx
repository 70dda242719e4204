// The tab of windows: the list, the details, and what can be done with a window.

import { RestError } from '../../base/call-rest.ts'
import type { DeletionJson } from '../../wire/deletions.ts'
import type { CountedPageJson } from '../../wire/lists.ts'
import type { ThawReceiptJson } from '../../wire/receipts.ts'
import type { SessionJson } from '../../wire/sessions.ts'
import type { CloneBody, FreezeBody, ThawBody, WindowJson } from '../../wire/windows.ts'
import { tagsOf, textOf } from '../forms.ts'
import { listAssets, mountList } from '../list-page.tsx'
import { mountMessages } from '../messages/routes.tsx'
import { type Mount, refreshLists } from '../pages.tsx'
import { readFamily, sessionApiPath, windowApiPath } from '../queries.ts'
import { ConfirmReplace, Deleted, Frozen, Thawed } from '../receipts.tsx'
import { windowPath } from '../regions.tsx'
import { BulkBar } from './bulk.tsx'
import { mountBulk } from './bulk-routes.tsx'
import { ConfirmDelete } from './confirm-delete.tsx'
import { windowList } from './filter.ts'
import { WindowDetail } from './window-detail.tsx'
import { WindowFilterForm, Windows } from './windows.tsx'

export const windows: Mount = (app, pages) => {
  mountList(app, pages, {
    address: windowList,
    read: (c, path) => pages.ask(c)<CountedPageJson<WindowJson>>('GET', path),
    list: (view) => <Windows view={view} />,
    controls: (filter) => (
      <>
        <WindowFilterForm filter={filter} />
        <BulkBar />
      </>
    ),
  })
  app.post('/windows', async (c) => {
    const form = await c.req.parseBody()
    const note = textOf(form.note)
    const body: FreezeBody = {
      name: textOf(form.name),
      session_id: textOf(form.session_id),
      tags: tagsOf(form.tags),
      ...(note === '' ? {} : { note }),
    }
    const window = await pages.ask(c)<WindowJson>('POST', '/cwm/v1/windows', body)
    return await pages.html(c, <Frozen window={window} />, refreshLists)
  })
  mountBulk(app, pages)
  mountMessages(app, pages, { of: 'windows', param: 'name', apiPath: windowApiPath, path: windowPath })
  app.get('/windows/:name/export', async (c) => {
    const name = c.req.param('name')
    const file = await pages.ask(c)<object>('GET', `${windowApiPath(name)}/export`)
    const disposition = `attachment; filename="${name.replace(/[^\w.-]/g, '_')}.cwm.json"`
    return c.json(file, 200, { 'content-disposition': disposition })
  })
  app.get('/windows/:name', async (c) => {
    const ask = pages.ask(c)
    const window = await ask<WindowJson>('GET', windowApiPath(c.req.param('name')))
    const body = <WindowDetail window={window} family={await readFamily(ask, window)} now={pages.now()} />
    return await pages.showDetail(c, { tab: 'windows', title: window.name, body, ...listAssets })
  })
  app.post('/windows/:name/thaw', async (c) => {
    const form = await c.req.parseBody()
    const [id, name] = [textOf(form.session_id), c.req.param('name')]
    const body: ThawBody = {
      ...(id === '' ? {} : { session_id: id }),
      ...(form.replace === 'true' ? { replace: true } : {}),
    }
    try {
      const receipt = await pages.ask(c)<ThawReceiptJson>('POST', `${windowApiPath(name)}/thaw`, body)
      return await pages.html(c, <Thawed receipt={receipt} />, refreshLists)
    } catch (thrown) {
      if (!(thrown instanceof RestError) || thrown.code !== 'session_has_turns') throw thrown
      const session = await pages.ask(c)<SessionJson>('GET', sessionApiPath(id))
      return await pages.html(c, <ConfirmReplace window={name} session={session} />)
    }
  })
  app.post('/windows/:name/clone', async (c) => {
    const form = await c.req.parseBody()
    const at = textOf(form.at)
    const body: CloneBody = { name: textOf(form.name), ...(at === '' ? {} : { at: Number(at) }) }
    const clone = await pages.ask(c)<WindowJson>('POST', `${windowApiPath(c.req.param('name'))}/clone`, body)
    return await pages.html(c, <Frozen window={clone} />, refreshLists)
  })
  app.get('/windows/:name/delete', async (c) => {
    const window = await pages.ask(c)<WindowJson>('GET', windowApiPath(c.req.param('name')))
    const body = <ConfirmDelete window={window} />
    return await pages.showDetail(c, { tab: 'windows', title: `Delete ${window.name}`, body, ...listAssets })
  })
  app.post('/windows/:name/delete', async (c) => {
    const query = (await c.req.parseBody()).sessions === 'end' ? '?sessions=end' : ''
    const deletion = await pages.ask(c)<DeletionJson>('DELETE', `${windowApiPath(c.req.param('name'))}${query}`)
    return await pages.html(c, <Deleted deletion={deletion} />, refreshLists)
  })
}
