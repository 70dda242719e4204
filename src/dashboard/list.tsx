// A paginated list that refreshes itself: which items it shows of how many, the table, and links to the pages before and after.

import type { Child } from 'hono/jsx'
import type { CountedPageJson } from '../wire/lists.ts'
import { formatNumber } from './format.ts'
import { Region } from './regions.tsx'

export interface Column {
  readonly title: Child
  /** CSS classes of header and cells: `number`, `age`, and `wide` for columns hidden on phones. */
  readonly kind?: string
}

interface ListProps {
  /** Used in element ids, for example `sessions`. */
  readonly name: string
  readonly columns: readonly Column[]
  readonly page: CountedPageJson<unknown>
  /** The address of a page of this list; of the first one without a cursor. */
  readonly urlOf: (cursor: string | undefined) => string
  readonly cursor: string | undefined
  readonly children?: Child
}

export function List({ name, columns, page, urlOf, cursor, children }: ListProps) {
  return (
    <Region id={name} url={urlOf(cursor)}>
      <Range name={name} page={page} />
      <table>
        <thead>
          <tr>
            {columns.map(({ title, kind }) => (
              <th scope="col" class={kind}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
      <nav class="pages" aria-label={`Pages of ${name}`}>
        <PageLink name={name} id={`${name}-previous`} url={linked(page.previous_cursor, urlOf)}>
          Previous
        </PageLink>
        <PageLink name={name} id={`${name}-next`} url={linked(page.next_cursor, urlOf)}>
          Next
        </PageLink>
      </nav>
    </Region>
  )
}

function linked(cursor: string | undefined, urlOf: ListProps['urlOf']): string | undefined {
  return cursor === undefined ? undefined : urlOf(cursor)
}

/** For example "1–25 of 57 sessions". */
function Range({ name, page: { data, first, total, total_is_minimum, examined } }: Pick<ListProps, 'name' | 'page'>) {
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
function PageLink({ name, id, url, children }: PageLinkProps) {
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
