// A paginated list that refreshes itself: which items it shows of how many, the table, and links to the pages before and after.

import type { Child } from 'hono/jsx'
import type { CountedPageJson } from '../wire/lists.ts'
import { formatNumber } from './format.ts'
import type { ListAddress, ListFilter } from './list-address.ts'
import { Region } from './regions.tsx'
import { type Column, Table } from './table.tsx'

/** A page of a list, as its tab reads and shows it. */
export interface ListView<Filter extends ListFilter, Item> {
  readonly page: CountedPageJson<Item>
  readonly filter: Filter
  readonly cursor: string | undefined
  readonly now: number
}

interface ListProps<Filter extends ListFilter> {
  readonly address: ListAddress<Filter>
  readonly view: ListView<Filter, unknown>
  readonly columns: readonly Column[]
  /** How the first item gets into the list. */
  readonly hint: Child
  /** The rows. */
  readonly children?: Child
}

export function List<Filter extends ListFilter>({ address, view, columns, hint, children }: ListProps<Filter>) {
  const { page, filter, cursor } = view
  const { name } = address
  const isEmpty = page.data.length === 0
  const linkTo = (other: string | undefined) => (other === undefined ? undefined : address.url(filter, other))
  return (
    <Region id={name} url={address.url(filter, isEmpty ? undefined : cursor)}>
      {isEmpty ? (
        <Empty address={address} isFiltered={address.isFiltered(filter)} hint={hint} />
      ) : (
        <>
          <Range name={name} page={page} />
          <Table caption={address.title} columns={columns}>
            {children}
          </Table>
          <nav class="pages" aria-label={`Pages of ${name}`}>
            <PageLink name={name} id={`${name}-previous`} url={linkTo(page.previous_cursor)}>
              Previous
            </PageLink>
            <PageLink name={name} id={`${name}-next`} url={linkTo(page.next_cursor)}>
              Next
            </PageLink>
          </nav>
        </>
      )}
    </Region>
  )
}

interface EmptyProps {
  readonly address: Pick<ListAddress<ListFilter>, 'name' | 'path'>
  readonly isFiltered: boolean
  readonly hint: Child
}

function Empty({ address: { name, path }, isFiltered, hint }: EmptyProps) {
  return (
    <div class="empty">
      <p>{isFiltered ? `No matching ${name}.` : `No ${name} yet.`}</p>
      <p>{isFiltered ? <a href={path}>Show all {name}</a> : hint}</p>
    </div>
  )
}

interface RangeProps {
  readonly name: string
  readonly page: CountedPageJson<unknown>
}

/** For example "1–25 of 57 sessions". */
function Range({ name, page: { data, first, total, total_is_minimum, examined } }: RangeProps) {
  if (first === undefined || total === undefined) return null
  const last = first + data.length - 1
  return (
    <p class="range quiet" id={`${name}-range`}>
      {formatNumber(first)}
      {last > first ? `–${formatNumber(last)}` : ''} of {formatNumber(total)}
      {total_is_minimum === true ? '+' : ''} {total === 1 ? name.replace(/s$/, '') : name}
      {examined === undefined ? '' : `, of the ${formatNumber(examined)} most recent ones`}
    </p>
  )
}

interface PageLinkProps {
  readonly name: string
  readonly id: string
  /** Undefined: there is no such page. */
  readonly url: string | undefined
  readonly children?: Child
}

/** Replaces a refresh in progress, whose response would be of another page. */
export function PageLink({ name, id, url, children }: PageLinkProps) {
  if (url === undefined) return null
  return (
    <a
      class="button"
      id={id}
      href={url}
      hx-get={url}
      hx-target={`#${name}`}
      hx-swap="outerHTML"
      hx-sync={`#${name}:replace`}
      data-history="push"
    >
      {children}
    </a>
  )
}
