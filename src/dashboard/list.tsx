// A paginated list that can refresh its current page: the table, the cursor that a refresh sends, and the page buttons.

import type { Child } from 'hono/jsx'

export interface Column {
  readonly title: string
  /** CSS classes of header and cells: `number`, `age`, and `wide` for columns hidden on phones. */
  readonly kind?: string
}

interface ListProps {
  /** Used in paths and element ids, for example `sessions`. */
  readonly name: string
  readonly columns: readonly Column[]
  readonly cursor: string | undefined
  readonly nextCursor: string | undefined
  /** Selector of a form to send along, such as a filter. */
  readonly include?: string
  readonly children?: Child
}

export function List({ name, columns, cursor, nextCursor, include, children }: ListProps) {
  const path = `/cwm/ui/${name}`
  const next = nextCursor === undefined ? undefined : `${path}?cursor=${encodeURIComponent(nextCursor)}`
  // A page change replaces a refresh in progress, whose response would be of another page.
  const turn = { 'hx-include': include, 'hx-target': `#${name}`, 'hx-sync': `#${name}:replace` }
  return (
    <>
      <input type="hidden" name="cursor" value={cursor ?? ''} />
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
          <button type="button" id={`${name}-first`} hx-get={path} {...turn}>
            First page
          </button>
        )}
        {next === undefined ? null : (
          <button type="button" id={`${name}-next`} hx-get={next} {...turn}>
            Next page
          </button>
        )}
      </nav>
    </>
  )
}

interface DetailLinkProps {
  readonly path: string
  /** Element id, to restore the focus when the dialog closes. */
  readonly id?: string
  readonly children?: Child
}

/** A button that opens details in the dialog. */
export function DetailLink({ path, id, children }: DetailLinkProps) {
  return (
    <button type="button" class="link" id={id} hx-get={path} hx-target="#dialog-body" hx-sync="#dialog-body:replace">
      {children}
    </button>
  )
}

export const sessionPath = (id: string) => `/cwm/ui/sessions/${encodeURIComponent(id)}`
export const windowPath = (name: string) => `/cwm/ui/windows/${encodeURIComponent(name)}`
