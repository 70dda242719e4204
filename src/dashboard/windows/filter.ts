// The filter of the list of windows.

import { countedPage, ListAddress } from '../list-address.ts'

export interface WindowFilter {
  readonly search: string
  readonly tag: string
  readonly model: string
  readonly state: string
  readonly pin: string
  readonly session_id: string
  readonly sort: string
  readonly order: string
  readonly [name: string]: string
}

export const windowList = new ListAddress<WindowFilter>({
  name: 'windows',
  title: 'Windows',
  defaults: { search: '', tag: '', model: '', state: '', pin: '', session_id: '', sort: 'created', order: 'desc' },
  conditions: ['search', 'tag', 'model', 'state', 'pin', 'session_id'],
  pageQuery: countedPage,
})
