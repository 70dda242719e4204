// Parts of a page that refresh themselves, links that open the dialog, and the addresses of details.

import type { Child } from 'hono/jsx'

interface RegionProps {
  readonly id: string
  /** What it shows, as an address: a refresh fetches it again, so it stays on the same filter and page. */
  readonly url: string
  readonly children?: Child
}

/**
 * Fetches its address again on the body's `refresh` event, and is replaced as a whole: so the answer must be a region with the same id. A
 * request that the user made, such as for the next page, replaces a refresh that is under way.
 */
export function Region({ id, url, children }: RegionProps) {
  return (
    <div id={id} hx-get={url} hx-trigger="refresh from:body" hx-target="this" hx-swap="outerHTML" hx-sync="this:drop">
      {children}
    </div>
  )
}

interface DetailLinkProps {
  readonly path: string
  /** Element id, to restore the focus when the dialog closes. */
  readonly id?: string
  readonly children?: Child
}

/** A link to a page of details, which a plain click opens in the dialog. */
export function DetailLink({ path, id, children }: DetailLinkProps) {
  return (
    <a
      class="link"
      id={id}
      href={path}
      hx-get={path}
      hx-target="#dialog-body"
      hx-sync="#dialog-body:replace"
      data-history="dialog"
    >
      {children}
    </a>
  )
}

export const sessionPath = (id: string) => `/cwm/ui/sessions/${encodeURIComponent(id)}`
export const windowPath = (name: string) => `/cwm/ui/windows/${encodeURIComponent(name)}`
