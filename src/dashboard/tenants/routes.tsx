// The operator's tab of tenants: who there is, what they hold, and whose data the other tabs show.

import type { PageJson } from '../../wire/lists.ts'
import type { ListedTenantJson } from '../../wire/tenants.ts'
import { Copy } from '../components.tsx'
import { formatBytes, formatNumber } from '../format.ts'
import { type Column, List } from '../list.tsx'
import type { Mount } from '../pages.tsx'

const PAGE_SIZE = 50

const columns: readonly Column[] = [
  { title: 'Tenant' },
  { title: 'Sessions', kind: 'number' },
  { title: 'Windows', kind: 'number' },
  { title: 'Pinned tokens', kind: 'number wide' },
  { title: 'Stored text', kind: 'number wide' },
  { title: 'Isolation', kind: 'wide' },
  { title: 'Action', kind: 'action' },
]

const tenantsUrl = (cursor: string | undefined) =>
  `/cwm/ui/tenants${cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`}`

export const tenants: Mount = (app, pages) => {
  app.get('/tenants', async (c) => {
    const cursor = c.req.query('cursor') || undefined
    const query = new URLSearchParams({ limit: String(PAGE_SIZE), ...(cursor === undefined ? {} : { cursor }) })
    const page = await pages.askAll(c)<PageJson<ListedTenantJson>>('GET', `/cwm/v1/tenants?${query}`)
    const list = <Tenants page={page} cursor={cursor} />
    const body = (
      <section class="card" aria-label="Tenants">
        {list}
      </section>
    )
    return await pages.show(c, { tab: 'tenants', title: 'Tenants', body, fragment: list, url: tenantsUrl(cursor) })
  })
}

function Tenants({ page, cursor }: { readonly page: PageJson<ListedTenantJson>; readonly cursor: string | undefined }) {
  return (
    <List name="tenants" columns={columns} page={page} urlOf={tenantsUrl} cursor={cursor}>
      {page.data.map(({ id, listed, usage, isolation }) => (
        <tr>
          <th scope="row">
            <span class="id">{id}</span> <Copy text={id} label={`id ${id}`} />
            {listed ? null : <small class="quiet parent">not in the settings</small>}
          </th>
          <td class="number">{formatNumber(usage.sessions)}</td>
          <td class="number">{formatNumber(usage.windows)}</td>
          <td class="number wide">{formatNumber(usage.pinned_tokens)}</td>
          <td class="number wide">{formatBytes(usage.window_bytes)}</td>
          <td class="wide">{isolation}</td>
          <td class="action">
            <form method="post" action="/cwm/ui/tenant">
              <input type="hidden" name="tenant" value={id} />
              <button type="submit" aria-label={`Show ${id}`}>
                Show
              </button>
            </form>
          </td>
        </tr>
      ))}
    </List>
  )
}
