// What both stores say of a window's record: when its name is free, and by what lists are sorted.

import type { WindowRecord } from '../base/records.ts'
import type { WindowQuery } from './store.ts'

/** Whether LMCache's coordinator may count a pin of it. */
export function mayHoldPin({ pin }: WindowRecord): boolean {
  return pin === 'pinning' || pin === 'pinned'
}

/** A name can be taken anew when its last freeze failed and nothing has to be given back for it. */
export function isFree(window: WindowRecord): boolean {
  return window.state === 'failed' && !mayHoldPin(window)
}

/** By what each order sorts; names sort themselves. */
export const sortedBy = {
  created: ({ createdAt }) => createdAt,
  thawed: ({ thawedAt, frozenAt, createdAt }) => thawedAt ?? frozenAt ?? createdAt,
  tokens: ({ receipt }) => receipt?.tokens ?? 0,
} as const satisfies Record<Exclude<NonNullable<WindowQuery['sort']>, 'name'>, (window: WindowRecord) => number>
