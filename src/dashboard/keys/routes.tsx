// The operator's tab of keys: create one, whose secret is shown once, list them, and revoke one after confirmation.

import type { CreatedKeyJson, CreateKeyBody, KeyJson } from '../../wire/keys.ts'
import type { PageJson } from '../../wire/lists.ts'
import { textOf } from '../forms.ts'
import { mountList } from '../list-page.tsx'
import { type Mount, refreshLists } from '../pages.tsx'
import { ConfirmRevoke, Created, CreateForm, Keys, keyList, Revoked } from './keys.tsx'

const DAY_S = 86_400

export const keys: Mount = (app, pages) => {
  mountList(app, pages, {
    address: keyList,
    read: (c, path) => pages.askAll(c)<PageJson<KeyJson>>('GET', path),
    list: (view) => <Keys view={view} />,
    before: () => <CreateForm />,
  })
  app.post('/keys', async (c) => {
    const form = await c.req.parseBody()
    const [days, requests, tokens] = [form.days, form.requests_per_minute, form.tokens_per_minute].map(textOf)
    const body: CreateKeyBody = {
      tenant: textOf(form.tenant),
      name: textOf(form.name),
      ...(days === '' ? {} : { expires_in_s: Number(days) * DAY_S }),
      ...(requests === '' ? {} : { requests_per_minute: Number(requests) }),
      ...(tokens === '' ? {} : { tokens_per_minute: Number(tokens) }),
    }
    const created = await pages.askAll(c)<CreatedKeyJson>('POST', '/cwm/v1/keys', body)
    return await pages.html(c, <Created created={created} />, refreshLists)
  })
  app.get('/keys/:id/revoke', async (c) => {
    const [tenant, name] = [c.req.query('tenant') ?? '', c.req.query('name') ?? '']
    const body = <ConfirmRevoke id={c.req.param('id')} tenant={tenant} name={name} />
    return await pages.showDetail(c, { tab: 'keys', title: 'Revoke', body })
  })
  app.post('/keys/:id/revoke', async (c) => {
    const path = `/cwm/v1/keys/${encodeURIComponent(c.req.param('id'))}`
    return await pages.html(c, <Revoked revoked={await pages.askAll(c)<KeyJson>('DELETE', path)} />, refreshLists)
  })
}
