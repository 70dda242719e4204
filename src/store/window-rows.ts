// What both stores derive from a window's record: whether its name is free, and the keys of its sort orders.

import type { WindowRecord } from '../base/records.ts'
import type { WindowQuery } from './store-values.ts'

/** Whether LMCache's coordinator may count a pin of the window. */
export function mayHoldPin({ pin }: WindowRecord): boolean {
  return pin === 'pinning' || pin === 'pinned'
}

/** A name may be reused if its last freeze failed and left nothing to release. */
export function isFree(window: WindowRecord): boolean {
  return window.state === 'failed' && !mayHoldPin(window)
}

/** The key of each sort order; names are sorted by themselves. */
export const sortedBy = {
  created: ({ createdAt }) => createdAt,
  thawed: ({ thawedAt, frozenAt, createdAt }) => thawedAt ?? frozenAt ?? createdAt,
  tokens: ({ receipt }) => receipt?.tokens ?? 0,
} as const satisfies Record<Exclude<NonNullable<WindowQuery['sort']>, 'name'>, (window: WindowRecord) => number>
