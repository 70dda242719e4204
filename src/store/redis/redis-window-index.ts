// The indexes of windows in Redis: a set per value of each filter, a sorted set per order, and the tenant's counters. They change in the
// transaction that changes the window, by the difference between before and after.

import type { WindowRecord } from '../../base/records.ts'
import { mayHoldPin, sortedBy } from '../window-rows.ts'
import type { TenantKeys } from './redis-keys.ts'
import type { Transaction } from './redis-transaction.ts'

/** The score of each order; names are sorted by themselves. */
const scores = { ...sortedBy, name: () => 0 }

/** Adds the change from `before` to `after` to `tx`; undefined means no window. Both have one name. */
export function reindex(
  tx: Transaction,
  keys: TenantKeys,
  before: WindowRecord | undefined,
  after: WindowRecord | undefined,
) {
  const name = (after ?? before)?.name ?? ''
  const [had, has] = [setsOf(keys, before), setsOf(keys, after)]
  for (const key of had) if (!has.has(key)) tx.write('SREM', key, name)
  for (const key of has) if (!had.has(key)) tx.write('SADD', key, name)
  for (const [sort, scoreOf] of Object.entries(scores)) {
    const key = keys.windowsBy(sort as keyof typeof scores)
    if (after === undefined) tx.write('ZREM', key, name)
    else if (before === undefined || scoreOf(before) !== scoreOf(after)) tx.write('ZADD', key, scoreOf(after), name)
  }
  count(tx, keys, 'windows', Number(after !== undefined) - Number(before !== undefined))
  count(tx, keys, 'bytes', (after?.bytes ?? 0) - (before?.bytes ?? 0))
  count(tx, keys, 'pinned', pinnedTokens(after) - pinnedTokens(before))
}

function setsOf(keys: TenantKeys, window: WindowRecord | undefined): ReadonlySet<string> {
  if (window === undefined) return new Set()
  const { lineage, tags, model, state, pin, sessionId, parent } = window
  return new Set([
    keys.windowsOf(lineage),
    keys.windowsIn('model', model),
    keys.windowsIn('state', state),
    keys.windowsIn('pin', pin),
    ...tags.map((tag) => keys.windowsIn('tag', tag)),
    ...(sessionId === undefined ? [] : [keys.windowsIn('session', sessionId)]),
    ...(parent === undefined ? [] : [keys.windowsIn('parent', parent)]),
  ])
}

function pinnedTokens(window: WindowRecord | undefined): number {
  return window !== undefined && mayHoldPin(window) ? sortedBy.tokens(window) : 0
}

function count(tx: Transaction, keys: TenantKeys, field: string, by: number): void {
  if (by !== 0) tx.write('HINCRBY', keys.usage, field, by)
}
