// A paginated list that refreshes itself: the table, and links to its pages.

import type { Child } from 'hono/jsx'
import { Region } from './regions.tsx'

export interface Column {
  readonly title: string
  /** CSS classes of header and cells: `number`, `age`, and `wide` for columns hidden on phones. */
  readonly kind?: string
}

interface ListProps {
  /** Used in paths and element ids, for example `sessions`. */
  readonly name: string
  readonly columns: readonly Column[]
  /** The address of a page of this list; of the first one without a cursor. */
  readonly urlOf: (cursor: string | undefined) => string
  readonly cursor: string | undefined
  readonly nextCursor: string | undefined
  readonly children?: Child
}

export function List({ name, columns, urlOf, cursor, nextCursor, children }: ListProps) {
  return (
    <Region id={name} url={urlOf(cursor)}>
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
        {cursor === undefined ? null : (
          <PageLink name={name} id={`${name}-first`} url={urlOf(undefined)}>
            First page
          </PageLink>
        )}
        {nextCursor === undefined ? null : (
          <PageLink name={name} id={`${name}-next`} url={urlOf(nextCursor)}>
            Next page
          </PageLink>
        )}
      </nav>
    </Region>
  )
}

interface PageLinkProps {
  readonly name: string
  readonly id: string
  readonly url: string
  readonly children?: Child
}

/** Replaces a refresh in progress, whose response would be of another page. */
function PageLink({ name, id, url, children }: PageLinkProps) {
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
