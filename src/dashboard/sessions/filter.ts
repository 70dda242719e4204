// The filter of the list of sessions.

import { ListAddress } from '../list-address.ts'

export interface SessionFilter {
  readonly search: string
  readonly model: string
  readonly state: string
  readonly base_window: string
  readonly sort: string
  readonly order: string
  readonly [name: string]: string
}

const defaults: SessionFilter = { search: '', model: '', state: '', base_window: '', sort: 'last_turn', order: 'desc' }

export const sessionList = new ListAddress('/cwm/ui/sessions', '/cwm/v1/sessions', defaults, [
  'search',
  'model',
  'state',
  'base_window',
])
