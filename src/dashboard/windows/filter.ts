// The filter of the list of windows: in the address, in the form, and as REST's query.

import type { Ctx } from '../bindings.ts'

/** As the form sends it. */
export interface WindowFilter {
  readonly search: string
  readonly tag: string
  readonly state: string
  readonly sort: string
  readonly order: string
}

const defaults: WindowFilter = { search: '', tag: '', state: '', sort: 'created', order: 'desc' }

export function readFilter(c: Ctx): WindowFilter {
  const parameter = (name: keyof WindowFilter) => (c.req.query(name) ?? defaults[name]).trim()
  return {
    search: parameter('search'),
    tag: parameter('tag'),
    state: parameter('state'),
    sort: parameter('sort'),
    order: parameter('order'),
  }
}

export const isFiltered = ({ search, tag, state }: WindowFilter) => `${search}${tag}${state}` !== ''

/** The address of a page of this list. Defaults are left out. */
export function windowsUrl(filter: WindowFilter, cursor: string | undefined): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(filter)) {
    if (value !== defaults[name as keyof WindowFilter]) query.set(name, value)
  }
  if (cursor !== undefined) query.set('cursor', cursor)
  return `/cwm/ui/windows${query.size === 0 ? '' : `?${query}`}`
}
