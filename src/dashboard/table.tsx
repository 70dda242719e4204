// A table: its caption for screen readers, and its heads.

import type { Child } from 'hono/jsx'

export interface Column {
  readonly title: Child
  /** CSS classes of header and cells: `number`, `age`, and `wide` for columns hidden on phones. */
  readonly kind?: string
}

interface TableProps {
  readonly caption: string
  readonly columns: readonly Column[]
  /** Totals. */
  readonly foot?: Child
  /** The rows. */
  readonly children?: Child
}

/** Its rows are the children. Name it in `caption`, because its heading is not inside it. */
export function Table({ caption, columns, foot, children }: TableProps) {
  return (
    <table>
      <caption class="unseen">{caption}</caption>
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
      {foot === undefined ? null : <tfoot>{foot}</tfoot>}
    </table>
  )
}
