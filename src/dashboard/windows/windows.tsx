// The table of windows with its filter.

import type { PageJson } from '../../wire/lists.ts'
import type { WindowJson } from '../../wire/windows.ts'
import { formatAge } from '../format.ts'
import { type Column, List } from '../list.tsx'
import { DetailLink, Region, windowPath } from '../regions.tsx'
import { isFiltered, type WindowFilter, windowsUrl } from './filter.ts'
import { formatRestorable, State, Tags, Tiers } from './window-state.tsx'

const sorts = { created: 'created', name: 'name', thawed: 'last thaw', tokens: 'tokens' } as const
const orders = { desc: 'descending', asc: 'ascending' } as const
const states = { '': 'any state', frozen: 'frozen', freezing: 'freezing', failed: 'failed' } as const

export function FilterForm({ filter }: { readonly filter: WindowFilter }) {
  return (
    <search aria-label="Windows">
      <form
        id="filter"
        action="/cwm/ui/windows"
        hx-get="/cwm/ui/windows"
        hx-target="#windows"
        hx-swap="outerHTML"
        hx-trigger="input changed delay:250ms, change, submit"
        hx-sync="#windows:replace"
        data-history="replace"
      >
        <label>
          <span>Search</span>
          <input
            type="search"
            id="search"
            name="search"
            value={filter.search}
            placeholder="part of a name"
            autocomplete="off"
          />
        </label>
        <label>
          <span>Tag</span>
          <input type="search" id="tag" name="tag" value={filter.tag} autocomplete="off" autocapitalize="none" />
        </label>
        <Select name="state" label="State" options={states} chosen={filter.state} />
        <Select name="sort" label="Sort by" options={sorts} chosen={filter.sort} />
        <Select name="order" label="Order" options={orders} chosen={filter.order} />
      </form>
    </search>
  )
}

interface SelectProps {
  readonly name: string
  readonly label: string
  readonly options: Readonly<Record<string, string>>
  readonly chosen: string
}

function Select({ name, label, options, chosen }: SelectProps) {
  return (
    <label>
      <span>{label}</span>
      <select id={name} name={name}>
        {Object.entries(options).map(([value, text]) => (
          <option value={value} selected={value === chosen}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

const columns: readonly Column[] = [
  { title: 'Window' },
  { title: 'State' },
  { title: 'Restorable', kind: 'number' },
  { title: 'Tiers', kind: 'wide' },
  { title: 'Tags', kind: 'wide' },
  { title: 'Created', kind: 'age wide' },
]

export interface WindowsProps {
  readonly page: PageJson<WindowJson>
  readonly filter: WindowFilter
  readonly cursor: string | undefined
  readonly now: number
}

export function Windows({ page: { data, next_cursor }, filter, cursor, now }: WindowsProps) {
  if (data.length === 0 && cursor === undefined) {
    return (
      <Region id="windows" url={windowsUrl(filter, undefined)}>
        <NoWindows filtered={isFiltered(filter)} />
      </Region>
    )
  }
  const urlOf = (other: string | undefined) => windowsUrl(filter, other)
  return (
    <List name="windows" columns={columns} urlOf={urlOf} cursor={cursor} nextCursor={next_cursor}>
      {data.map((window) => (
        <tr>
          <th scope="row">
            <DetailLink path={windowPath(window.name)} id={`window-${window.name}`}>
              {window.name}
            </DetailLink>
            {window.parent === undefined ? null : <small class="quiet parent">of {window.parent}</small>}
          </th>
          <td>
            <State window={window} />
          </td>
          <td class="number">{formatRestorable(window.receipt)}</td>
          <td class="wide">
            <Tiers receipt={window.receipt} />
          </td>
          <td class="wide">
            <Tags tags={window.tags} />
          </td>
          <td class="age wide">
            {window.created_at === undefined ? (
              ''
            ) : (
              <time datetime={window.created_at}>{formatAge(window.created_at, now)}</time>
            )}
          </td>
        </tr>
      ))}
    </List>
  )
}

function NoWindows({ filtered }: { readonly filtered: boolean }) {
  return filtered ? (
    <div class="empty">
      <p>No matching windows.</p>
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
