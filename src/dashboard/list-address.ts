// The address of a list: its filter and page, in the browser's address, in the form, and in REST's query.

import type { Ctx } from './bindings.ts'

/** As a form sends it: every value is a text, empty if it is not given. */
export type ListFilter = Readonly<Record<string, string>>

export interface ListAddressParts<Filter extends ListFilter> {
  /** Of its tab, its region, and its items, for example `sessions`. */
  readonly name: string
  readonly title: string
  /** What the form shows first. */
  readonly defaults: Filter
  /** The fields that decide which items are in the list, not their order. */
  readonly conditions: readonly (keyof Filter & string)[]
  /** REST's query for a page, besides the filter: how many items, and whether they are counted. */
  readonly pageQuery: Readonly<Record<string, string>>
}

export class ListAddress<Filter extends ListFilter> {
  readonly name: string
  readonly title: string
  /** Of the whole list. */
  readonly path: string
  readonly #parts: ListAddressParts<Filter>

  constructor(parts: ListAddressParts<Filter>) {
    this.name = parts.name
    this.title = parts.title
    this.path = `/cwm/ui/${parts.name}`
    this.#parts = parts
  }

  /** Of a request. The cursor is undefined for the first page. */
  read(c: Ctx): { readonly filter: Filter; readonly cursor: string | undefined } {
    const given = Object.entries(this.#parts.defaults).map(([name, value]) => [
      name,
      (c.req.query(name) ?? value).trim(),
    ])
    return { filter: Object.fromEntries(given) as Filter, cursor: c.req.query('cursor') || undefined }
  }

  isFiltered(filter: Filter): boolean {
    return this.#parts.conditions.some((name) => filter[name] !== '')
  }

  /** Of a page of this list. What is the default is left out. */
  url(filter: Filter, cursor?: string): string {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(filter)) {
      if (value !== this.#parts.defaults[name]) query.set(name, value)
    }
    if (cursor !== undefined) query.set('cursor', cursor)
    return `${this.path}${query.size === 0 ? '' : `?${query}`}`
  }

  /** REST's path and query for the page. */
  apiPath(filter: Filter, cursor: string | undefined): string {
    const query = new URLSearchParams(this.#parts.pageQuery)
    for (const [name, value] of Object.entries({ ...filter, cursor })) {
      if (value !== undefined && value !== '') query.set(name, value)
    }
    return `/cwm/v1/${this.name}?${query}`
  }
}

/** A page of a list with search and filters, and how many items it has. */
export const countedPage = { limit: '25', count: 'true' } as const
/** A page of a list whose items REST does not count. */
export const plainPage = { limit: '50' } as const
