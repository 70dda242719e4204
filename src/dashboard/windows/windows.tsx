// The table of windows with its filter, and what can be done with several of them.

import type { WindowJson } from '../../wire/windows.ts'
import { ChoiceFilter, FilterForm, orders, TextFilter } from '../filter-form.tsx'
import { formatAge } from '../format.ts'
import { List, type ListView } from '../list.tsx'
import { DetailLink, windowPath } from '../regions.tsx'
import type { Column } from '../table.tsx'
import { type WindowFilter, windowList } from './filter.ts'
import { formatRestorable, State, Tags, Tiers } from './window-state.tsx'

const sorts = { created: 'created', name: 'name', thawed: 'last thaw', tokens: 'tokens' } as const
const states = { '': 'any', frozen: 'frozen', freezing: 'freezing', failed: 'failed' } as const
const pins = { '': 'any', pinned: 'pinned', released: 'released', none: 'never pinned' } as const

export function WindowFilterForm({ filter }: { readonly filter: WindowFilter }) {
  return (
    <FilterForm name="windows" label="Windows" path={windowList.path}>
      <TextFilter name="search" label="Search" value={filter.search} placeholder="part of a name" />
      <TextFilter name="tag" label="Tag" value={filter.tag} placeholder="whole tag" />
      <TextFilter name="model" label="Model" value={filter.model} placeholder="whole name" />
      <ChoiceFilter name="state" label="State" options={states} chosen={filter.state} />
      <ChoiceFilter name="pin" label="Pin" options={pins} chosen={filter.pin} />
      <ChoiceFilter name="sort" label="Sort by" options={sorts} chosen={filter.sort} />
      <ChoiceFilter name="order" label="Order" options={orders} chosen={filter.order} />
      {filter.session_id === '' ? null : (
        <TextFilter name="session_id" label="From session" value={filter.session_id} />
      )}
    </FilterForm>
  )
}

const columns: readonly Column[] = [
  { title: <PickAll />, kind: 'pick' },
  { title: 'Window' },
  { title: 'State' },
  { title: 'Restorable', kind: 'number' },
  { title: 'Tiers', kind: 'wide' },
  { title: 'Tags', kind: 'wide' },
  { title: 'Created', kind: 'age wide' },
]

function PickAll() {
  return <input type="checkbox" data-pick-all aria-label="Select all windows on this page" />
}

export function Windows({ view }: { readonly view: ListView<WindowFilter, WindowJson> }) {
  const hint = (
    <>
      Open a session and freeze it, or send a turn with the header <code>x-cwm-freeze: NAME</code>.
    </>
  )
  return (
    <List address={windowList} view={view} columns={columns} hint={hint}>
      {view.page.data.map((window) => (
        <WindowRow window={window} now={view.now} />
      ))}
    </List>
  )
}

function WindowRow({ window, now }: { readonly window: WindowJson; readonly now: number }) {
  const { name, parent, receipt, tags, created_at } = window
  return (
    <tr>
      <td class="pick">
        <input type="checkbox" id={`pick-${name}`} name="name" value={name} form="bulk" aria-label={`Select ${name}`} />
      </td>
      <th scope="row">
        <DetailLink path={windowPath(name)} id={`window-${name}`}>
          {name}
        </DetailLink>
        {parent === undefined ? null : <small class="quiet parent">of {parent}</small>}
      </th>
      <td>
        <State window={window} />
      </td>
      <td class="number">{formatRestorable(receipt)}</td>
      <td class="wide">
        <Tiers receipt={receipt} />
      </td>
      <td class="wide">
        <Tags tags={tags} />
      </td>
      <td class="age wide">
        {created_at === undefined ? '' : <time datetime={created_at}>{formatAge(created_at, now)}</time>}
      </td>
    </tr>
  )
}
