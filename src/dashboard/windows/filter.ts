// The filter of the list of windows.

import { ListAddress } from '../list-address.ts'

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

const defaults: WindowFilter = {
  search: '',
  tag: '',
  model: '',
  state: '',
  pin: '',
  session_id: '',
  sort: 'created',
  order: 'desc',
}

export const windowList = new ListAddress('/cwm/ui/windows', '/cwm/v1/windows', defaults, [
  'search',
  'tag',
  'model',
  'state',
  'pin',
  'session_id',
])
