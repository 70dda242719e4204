// The route of a tab that is a list: search and filters above, and a page of the list, which htmx gets alone.

import type { Child } from 'hono/jsx'
import type { CountedPageJson } from '../wire/lists.ts'
import type { App, Ctx } from './bindings.ts'
import type { ListView } from './list.tsx'
import type { ListAddress, ListFilter } from './list-address.ts'
import type { Pages } from './pages.tsx'

interface ListPageParts<Filter extends ListFilter, Item> {
  readonly address: ListAddress<Filter>
  /** Asks REST for the page at this path. Throws `RestError`. */
  readonly read: (c: Ctx, apiPath: string) => Promise<CountedPageJson<Item>>
  readonly list: (view: ListView<Filter, Item>) => Child
  /** Above the list: its filter, and what can be done with its items. A refresh leaves it alone. */
  readonly controls?: (filter: Filter) => Child
  /** A card of its own, before that of the list. */
  readonly before?: () => Child
}

/** What pages with a list of sessions or windows, or with their details, need besides the shell's assets. */
export const listAssets = { scripts: ['lists.js'], styles: ['lists.css'] } as const

/** Adds the tab's route. The page is answered as a whole, or the list alone to htmx. Errors of REST are thrown. */
export function mountList<Filter extends ListFilter, Item>(
  app: App,
  pages: Pages,
  { address, read, list, controls, before }: ListPageParts<Filter, Item>,
): void {
  const { name, title } = address
  app.get(`/${name}`, async (c) => {
    const { filter, cursor } = address.read(c)
    const page = await read(c, address.apiPath(filter, cursor))
    const fragment = list({ page, filter, cursor, now: pages.now() })
    const body = (
      <>
        {before?.()}
        <section class="card" aria-label={title}>
          {controls?.(filter)}
          {fragment}
        </section>
      </>
    )
    return await pages.show(c, { tab: name, title, body, fragment, url: address.url(filter, cursor), ...listAssets })
  })
}
