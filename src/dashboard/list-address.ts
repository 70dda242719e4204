// The address of a list: its filter and page, in the browser's address, in the form, and in REST's query.

import type { Ctx } from './bindings.ts'

/** As a form sends it: every value is a text, empty if it is not given. */
export type ListFilter = Readonly<Record<string, string>>

const PAGE_SIZE = 25

export class ListAddress<Filter extends ListFilter> {
  readonly #path: string
  readonly #apiPath: string
  readonly #defaults: Filter
  /** The fields that decide which items are in the list, not their order. */
  readonly #conditions: readonly (keyof Filter & string)[]

  constructor(path: string, apiPath: string, defaults: Filter, conditions: readonly (keyof Filter & string)[]) {
    this.#path = path
    this.#apiPath = apiPath
    this.#defaults = defaults
    this.#conditions = conditions
  }

  read(c: Ctx): Filter {
    const given = Object.entries(this.#defaults).map(([name, value]) => [name, (c.req.query(name) ?? value).trim()])
    return Object.fromEntries(given) as Filter
  }

  isFiltered(filter: Filter): boolean {
    return this.#conditions.some((name) => filter[name] !== '')
  }

  /** Of a page of this list. What is the default is left out. */
  url(filter: Filter, cursor?: string): string {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(filter)) if (value !== this.#defaults[name]) query.set(name, value)
    if (cursor !== undefined) query.set('cursor', cursor)
    return `${this.#path}${query.size === 0 ? '' : `?${query}`}`
  }

  /** REST's path and query for the page, with its counts. */
  apiPath(filter: Filter, cursor: string | undefined): string {
    const query = new URLSearchParams({ limit: String(PAGE_SIZE), count: 'true' })
    for (const [name, value] of Object.entries({ ...filter, cursor })) {
      if (value !== undefined && value !== '') query.set(name, value)
    }
    return `${this.#apiPath}?${query}`
  }
}

/** The cursor of the request; undefined for the first page. */
export function cursorOf(c: Ctx): string | undefined {
  return c.req.query('cursor') || undefined
}

/** What pages with a list or with details need besides the shell's assets. */
export const listAssets = { scripts: ['lists.js'], styles: ['lists.css'] } as const
