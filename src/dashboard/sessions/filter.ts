// The filter of the list of sessions.

import { countedPage, ListAddress } from '../list-address.ts'

export interface SessionFilter {
  readonly search: string
  readonly model: string
  readonly state: string
  readonly base_window: string
  readonly sort: string
  readonly order: string
  readonly [name: string]: string
}

export const sessionList = new ListAddress<SessionFilter>({
  name: 'sessions',
  title: 'Sessions',
  defaults: { search: '', model: '', state: '', base_window: '', sort: 'last_turn', order: 'desc' },
  conditions: ['search', 'model', 'state', 'base_window'],
  pageQuery: countedPage,
})
