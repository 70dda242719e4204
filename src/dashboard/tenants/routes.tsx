// The operator's tab of tenants: who there is, what they hold, and whose data the other tabs show.

import type { PageJson } from '../../wire/lists.ts'
import type { ListedTenantJson } from '../../wire/tenants.ts'
import { Copy } from '../components.tsx'
import { formatBytes, formatNumber } from '../format.ts'
import { List, type ListView } from '../list.tsx'
import { ListAddress, type ListFilter, plainPage } from '../list-address.ts'
import { mountList } from '../list-page.tsx'
import type { Mount } from '../pages.tsx'
import type { Column } from '../table.tsx'

const columns: readonly Column[] = [
  { title: 'Tenant' },
  { title: 'Sessions', kind: 'number' },
  { title: 'Windows', kind: 'number' },
  { title: 'Pinned tokens', kind: 'number wide' },
  { title: 'Stored text', kind: 'number wide' },
  { title: 'Isolation', kind: 'wide' },
  { title: 'Action', kind: 'action' },
]

const tenantList = new ListAddress<ListFilter>({
  name: 'tenants',
  title: 'Tenants',
  defaults: {},
  conditions: [],
  pageQuery: plainPage,
})

export const tenants: Mount = (app, pages) => {
  mountList(app, pages, {
    address: tenantList,
    read: (c, path) => pages.askAll(c)<PageJson<ListedTenantJson>>('GET', path),
    list: (view) => <Tenants view={view} />,
  })
}

function Tenants({ view }: { readonly view: ListView<ListFilter, ListedTenantJson> }) {
  return (
    <List address={tenantList} view={view} columns={columns} hint="A tenant appears with its first request.">
      {view.page.data.map(({ id, listed, usage, isolation }) => (
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
