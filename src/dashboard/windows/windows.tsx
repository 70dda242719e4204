// The table of windows with its filter, and what can be done with several of them.

import type { CountedPageJson } from '../../wire/lists.ts'
import type { WindowJson } from '../../wire/windows.ts'
import { ChoiceFilter, FilterForm, orders, TextFilter } from '../filter-form.tsx'
import { formatAge } from '../format.ts'
import { type Column, List } from '../list.tsx'
import { DetailLink, Region, windowPath } from '../regions.tsx'
import { type WindowFilter, windowList } from './filter.ts'
import { formatRestorable, State, Tags, Tiers } from './window-state.tsx'

const sorts = { created: 'created', name: 'name', thawed: 'last thaw', tokens: 'tokens' } as const
const states = { '': 'any state', frozen: 'frozen', freezing: 'freezing', failed: 'failed' } as const
const pins = { '': 'any', pinned: 'pinned', released: 'released', none: 'never pinned' } as const

export function WindowFilterForm({ filter }: { readonly filter: WindowFilter }) {
  return (
    <FilterForm name="windows" label="Windows" path="/cwm/ui/windows">
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

export interface WindowsProps {
  readonly page: CountedPageJson<WindowJson>
  readonly filter: WindowFilter
  readonly cursor: string | undefined
  readonly now: number
}

export function Windows({ page, filter, cursor, now }: WindowsProps) {
  if (page.data.length === 0) {
    return (
      <Region id="windows" url={windowList.url(filter)}>
        <NoWindows isFiltered={windowList.isFiltered(filter)} />
      </Region>
    )
  }
  const urlOf = (other: string | undefined) => windowList.url(filter, other)
  return (
    <List name="windows" columns={columns} page={page} urlOf={urlOf} cursor={cursor}>
      {page.data.map((window) => (
        <WindowRow window={window} now={now} />
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

function NoWindows({ isFiltered }: { readonly isFiltered: boolean }) {
  return isFiltered ? (
    <div class="empty">
      <p>No matching windows.</p>
      <p>
        <a href="/cwm/ui/windows">Show all windows</a>
      </p>
    </div>
  ) : (
    <div class="empty">
      <p>No windows yet.</p>
      <p>
        Open a session and freeze it, or send a turn with the header <code>x-cwm-freeze: NAME</code>.
      </p>
    </div>
  )
}
